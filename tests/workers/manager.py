"""A real manager on a log in files (``python -m tests.workers.manager ROOT [WORD...]``) that may kill itself.

Words are ``--dry-run``, ``--dying`` (its workers are ``dying_worker``), ``--per-role=N`` (with a heartbeat a second),
``--hasty`` (workers are soon taken for hung, which on a busy machine they look), ``--brief`` (who leaves is soon
killed), ``--calm`` (heartbeats come after news alone), ``--spares`` (it begins spares, without a rest: without this
word none, for six of them are more work than most tests) and points. A point is ``<object>.<method>:<before|after>:n``:
at the n-th call the process dies as by ``kill -9``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from streams.workers import crew, pulse
from streams.workers.crew import Crew, Timing
from streams.workers.intake import Intake
from streams.workers.journal import Journal
from streams.workers.pool import Host, Pool
from streams.workers.telling import Telling
from tests.workers.kit import HOST, TOPICS, FileLog, FileView

OBJECTS: dict[str, type] = {
    "journal": Journal,
    "log": FileLog,
    "crew": Crew,
    "intake": Intake,
    "pool": Pool,
    "telling": Telling,
}
NEVER_SECONDS = 86_400.0


def die_at(point: str) -> None:
    """Make one method of the product fatal."""
    path, when, count = point.split(":")
    kind, _, method = path.partition(".")
    original: Callable[..., Any] = getattr(OBJECTS[kind], method)
    calls = 0

    @wraps(original)
    def fatal(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == int(count) and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*given, **named)
        if calls == int(count):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(OBJECTS[kind], method, fatal)


def timing(words: Sequence[str]) -> Timing:
    """Return how long workers are waited for."""
    return Timing(
        health_seconds=0.2,
        hung_seconds=2.5 if "--hasty" in words else Timing().hung_seconds,
        leave_seconds=0.2 if "--brief" in words else 10.0,
        rest_seconds=0.0 if "--spares" in words else NEVER_SECONDS,
    )


async def main(root: Path, per_role: int, timing: Timing, *, dry_run: bool) -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    journal = Journal.open(root / "pool")
    host = Host(
        name=HOST,
        checkpoints=root / "checkpoints",
        workers_per_role=per_role,
        dry_run=dry_run,
        environment={"PATH": os.environ["PATH"]},
        timing=timing,
    )
    ahead_ms = int(os.environ.get("BROKER_AHEAD_MS", "0"))
    await Pool(FileLog(root / "topics", ahead_ms), TOPICS, FileView(root), journal, host).run(stop)
    journal.close()


if __name__ == "__main__":
    if "--dying" in sys.argv:
        crew.COMMAND_LINE = (sys.executable, "-m", "tests.workers.dying_worker", sys.argv[1])
    for point in sys.argv[2:]:
        if not point.startswith("--"):
            die_at(point)
    per_role = next((int(word.partition("=")[2]) for word in sys.argv if word.startswith("--per-role=")), 1)
    if per_role > 1:
        setattr(pulse, "BEAT_SECONDS", 1.0)  # noqa: B010 - final for the product
    if "--calm" in sys.argv:
        setattr(pulse, "BEAT_SECONDS", 3600.0)  # noqa: B010 - as above
    asyncio.run(main(Path(sys.argv[1]), per_role, timing(sys.argv), dry_run="--dry-run" in sys.argv))
