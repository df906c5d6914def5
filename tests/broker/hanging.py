"""A process of the product whose decide hangs when told to (``python -m tests.broker.hanging ROLE``).

As long as ``<data_dir>/hang`` is there, decide's engine hangs at its next batch: the first process blocks its event
loop, those after it wait for an answer that never comes. What takes minutes in the product takes seconds here: how long
the watchdog watches what hangs, how soon a line of the canary is decided on again, how long the web waits for that.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any

from streams.agents.decide import DecideEngine
from streams.cli import main
from streams.core import canary
from streams.runtime import host
from streams.runtime.watchdog import Judge
from streams.settings import Settings
from streams.web import canary as web_canary

ANSWER_MS = 2_000
HUNG_SECONDS = 1.0
BLOCKS = "blocks"
WAITS = "waits"
HANG = Settings.load().data_dir / "hang"
judges: list[Judge] = []
decided = DecideEngine.process


def judge(*given: Any) -> Judge:
    """Make the product's judge, and remember it."""
    judges.append(Judge(*given))
    return judges[-1]


def stand_still() -> None:
    """Let nothing else have a turn."""
    time.sleep(3_600)


async def wait_for_ever() -> None:
    """Wait for an answer that never comes."""
    await asyncio.Event().wait()


async def process(engine: DecideEngine, batch: Sequence[Any]) -> None:
    """Hang, or decide."""
    if HANG.exists():
        word = HANG.read_text("ascii")
        HANG.write_text(WAITS, "ascii")
        judges[-1]._limit = HUNG_SECONDS  # only now: a busy machine's healthy process may be silent for longer
        if word == BLOCKS:
            stand_still()
        await wait_for_ever()
    await decided(engine, batch)


if __name__ == "__main__":
    setattr(host, "Judge", judge)  # noqa: B010 - a class for the product
    setattr(DecideEngine, "process", process)  # noqa: B010 - a method for the product
    setattr(canary, "EVERY_MS_MIN", ANSWER_MS // 4)  # noqa: B010 - final for the product
    setattr(web_canary, "ANSWER_MS", ANSWER_MS)  # noqa: B010 - as above
    main([sys.argv[1]])
