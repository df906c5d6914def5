"""Research from an event loop: in one thread of its own, once the event log has got as far as the question."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from streams import telemetry
from streams.advise.dossier import Dossier, type_of
from streams.advise.records import Mask
from streams.advise.research import Research
from streams.core.choosing import worth_doing
from streams.core.errors import InputError
from streams.core.events import Decision

BEHIND_S: Final = 8.0
"""The event log is this old at most, most of the time: it writes a segment every five seconds."""
LOOK_S: Final = 0.25


def bare(question: Decision) -> Dossier:
    """Return what a question says itself."""
    return Dossier(question=question, service_type=type_of(question), options=worth_doing(question.options))


class Scout:
    """Gathers dossiers, one after the other. ``directory`` is the event log's; ``close`` it."""

    def __init__(self, directory: Path, mask: Mask) -> None:
        self._directory = directory
        self._mask = mask
        self._research: Research | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="research")

    async def dossier(self, question: Decision, patience_s: float) -> Dossier:
        """Return what the log knows of a question, after waiting for the log for ``patience_s`` seconds at most.

        Where there is no log, or it can't be read, the dossier has what the question says itself.
        """
        loop = asyncio.get_running_loop()
        until = time.monotonic() + min(patience_s, BEHIND_S)
        try:
            while time.monotonic() < until:
                if await loop.run_in_executor(self._thread, self._reaches, question):
                    break
                await asyncio.sleep(LOOK_S)
            return await loop.run_in_executor(self._thread, self._gather, question)
        except InputError as error:
            telemetry.handled("research", str(error))
            return bare(question)

    async def close(self) -> None:
        """Let go of the log, once what is under way has ended."""
        with contextlib.suppress(RuntimeError):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _reaches(self, question: Decision) -> bool:
        return self._opened().reaches(question)

    def _gather(self, question: Decision) -> Dossier:
        return self._opened().dossier(question)

    def _opened(self) -> Research:
        if self._research is None:
            self._research = Research(self._directory, self._mask)
        return self._research

    def _close(self) -> None:
        if self._research is not None:
            self._research.close()
            self._research = None
