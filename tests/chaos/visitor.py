"""Somebody who looks at the web all the time."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections import Counter
from http.client import HTTPException
from itertools import cycle
from typing import Final

PATHS: Final = ("/api/cluster/status", "/api/incidents", "/", "/health")
LOOK_SECONDS: Final = 0.5
ANSWER_SECONDS_MAX: Final = 20.0


class Visitor:
    """Asks one page after the other. ``answers`` counts what came, by status; ``away`` while nobody is there."""

    def __init__(self, port: int) -> None:
        self.answers: Counter[str] = Counter()
        self._address = f"http://127.0.0.1:{port}"

    async def run(self) -> None:
        """Look for ever."""
        for path in cycle(PATHS):
            self.answers[await asyncio.to_thread(self._visit, path)] += 1
            await asyncio.sleep(LOOK_SECONDS)

    def _visit(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"{self._address}{path}", timeout=ANSWER_SECONDS_MAX) as answer:
                answer.read()
                return str(answer.status)
        except urllib.error.HTTPError as error:
            return str(error.code)
        except (OSError, HTTPException):
            return "away"
