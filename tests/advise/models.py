"""Models of the tests: providers in this process that answer as they are told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from streams.advise.asking import Asker
from streams.advise.budget import Budget
from streams.advise.desk import Desk
from streams.advise.providers.base import Answer, Prompt
from streams.catalogue.models import Price

Thinks = Callable[[Prompt], str | Awaitable[str]]


def case_of(prompt: Prompt) -> dict[str, Any]:
    """Return what stands inside the fence of a prompt."""
    case: dict[str, Any] = json.loads("\n".join(prompt.user.splitlines()[1:-1]))
    return case


def opinion(action: str, confidence: float = 0.8, **fields: str) -> str:
    """Return a model's answer."""
    return json.dumps({"action": action, "confidence": confidence, **fields})


class Model:
    """A provider that thinks with a function, and remembers what it was asked."""

    name = "openai"
    model = "test-model"

    def __init__(self, thinks: Thinks) -> None:
        self.asked: list[Prompt] = []
        self._thinks = thinks

    async def ask(self, prompt: Prompt, deadline_s: float) -> Answer:
        """Answer with what the function returns."""
        self.asked.append(prompt)
        said = self._thinks(prompt)
        return Answer(
            text=said if isinstance(said, str) else await said, model=self.model, tokens_in=900, tokens_out=90
        )

    async def aclose(self) -> None:
        """Nothing is open."""


class Waiting(Model):
    """One that answers when it is let."""

    def __init__(self, text: str) -> None:
        super().__init__(self._wait)
        self.text = text
        self.heard = asyncio.Event()
        self.go_on = asyncio.Event()

    async def _wait(self, _prompt: Prompt) -> str:
        self.heard.set()
        await self.go_on.wait()
        return self.text


def asker_of(model: Model, path: Path, calls_max: int = 1_000) -> Asker:
    """Return the way to a model that costs a dollar for a million tokens."""
    return Asker(model, Price(usd_in=1.0, usd_out=1.0), Budget(calls_max, 10**9, path / "budget.json"))


def desk_of(model: Model, path: Path, sure_from: float = 1.0) -> Desk:
    """Return a desk that asks a model, by default always."""
    return Desk(asker_of(model, path), sure_from, lambda text: text.replace("hunter2", "[password]"))
