"""Whether there is room for a specialist, what becomes of one that gets no process, and what its looks may take."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from streams.codec import decode_inbox
from streams.core.reports import SpecialistReported
from streams.workers import crew
from streams.workers.crew import Crew, Timing
from streams.workers.frames import Ended
from streams.workers.journal import Entry, Journal, Position
from streams.workers.members import spawn_of
from streams.workers.results import Result
from streams.workers.roles import SPARE
from streams.workers.specialists import HERE_MAX, Specialists
from tests.workers.kit import Executor, command, process_spec
from tests.workers.plans import ASKED


class Desk:
    """A desk that calls specialists, for a crew in which nobody comes or goes by himself."""

    def __init__(self, root: Path, crew: Any) -> None:
        self.journal = Journal.open(root / "pool")
        self.journal.begin(Position(0, -1, 0))
        self.ends: list[tuple[str, Result]] = []
        self.ended = asyncio.Event()
        self.specialists = Specialists("h1", crew, self.journal, lambda: 0, self._end, lambda: None)
        self._spec = process_spec(root)
        self._seq = 0

    def _end(self, entry: Entry, status: str, result: Result, worker: str = "") -> None:
        self.ends.append((status, result))
        self.ended.set()

    def call(self, number: int = 1) -> None:
        """Call the next one."""
        given = {**ASKED, "specialist": f"database-optimizer-{number:03d}"}
        asked = command(self._spec, "specialist.spawn", self._seq, self._seq - 1, kind="spawn", arguments=given)
        self._seq += 1
        (entry,) = self.journal.receive([(asked.seq, asked)], self._seq, asked.seq)
        self.journal.start(asked.id)
        self.specialists.call(entry, spawn_of(asked))

    def said(self) -> list[tuple[str, str]]:
        """Return the states that are to be told, each with its code."""
        events = [decode_inbox(report.body) for report in self.journal.untold()]
        return [(one.state, one.code) for one in events if isinstance(one, SpecialistReported)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Yield a desk whose crew only notes who is invited."""
    made = Desk(tmp_path, SimpleNamespace(invite=lambda _: None, dismiss=lambda _: None))
    yield made
    made.journal.close()


async def test_there_is_an_end_of_room(desk: Desk) -> None:
    """One more than may be here is reported failed at once, and its command ends so."""
    for number in range(HERE_MAX):
        desk.call(number + 1)
    assert desk.said() == [("spawned", "")] * HERE_MAX
    desk.call(HERE_MAX + 1)
    assert desk.said()[-1] == ("failed", "no_room")
    assert desk.ends == [("done", Result(ok=False, code="no_room", effect="none"))]
    assert len(desk.journal.held()) == HERE_MAX


async def test_nobody_comes_to_a_host_without_memory(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the host has less memory than a specialist may hold there is no room for it."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=127 << 20))
    desk.call()
    assert desk.said() == [("failed", "no_room")]
    assert desk.journal.held() == []


async def test_a_specialist_without_a_process_is_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the host can't start a process for it, it is reported failed, and the crew goes on."""

    async def none(role: str) -> asyncio.subprocess.Process:
        if role == SPARE:
            raise BlockingIOError(11, "no more processes")
        return await begin(role)

    begin = crew._spawn
    monkeypatch.setattr(crew, "_spawn", none)
    ready = asyncio.Event()
    workers = Crew(1, Timing(), lambda *_: None, lambda *_: None, ready.set)
    desk = Desk(tmp_path, workers)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(workers.work())
        await ready.wait()
        desk.call()
        await desk.ended.wait()
        await workers.leave()
    assert desk.said() == [("spawned", ""), ("failed", "no_process")]
    assert desk.ends == [("done", Result(ok=False, code="no_process", effect="none"))]
    desk.journal.close()


LOOKS = """
import os, sys
import psutil
from pathlib import Path
from streams.workers import limits, sandbox
from streams.workers.orders import order_of
from streams.workers.results import Surroundings
from tests.workers.kit import Executor, command, process_spec
root = Path(sys.argv[1])
limits.hold(256, 0.25)
look = order_of(command(process_spec(root), "process.look", arguments={"topic": "host"}))
child = sandbox.launch(look, Surroundings(checkpoints=str(root)))
seen = set()
while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
    seen.add(os.getpriority(os.PRIO_PROCESS, child.pid))
while child.listen():
    pass
print(max(seen) - os.getpriority(os.PRIO_PROCESS, 0), child.collect().code)
"""


def test_looks_give_way(tmp_path: Path) -> None:
    """A look of a specialist that has a quarter of a processor is six steps nicer than the specialist's own process."""
    ran = subprocess.run(
        [sys.executable, "-c", LOOKS, str(tmp_path)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["6", "looked"]


def test_a_specialist_looks_at_one_thing_at_a_time(tmp_path: Path) -> None:
    """Of looks that come at once each begins when the one before is over, in their order."""
    spec = process_spec(tmp_path)
    topics = ["process", "ports", "locks", "process"]
    looks = [
        command(spec, "process.look", seq, kind="look", arguments={"topic": topic}) for seq, topic in enumerate(topics)
    ]
    with Executor(tmp_path, "database-optimizer") as specialist:
        for look in looks:
            specialist.send(look)
        ends = [one for one in specialist.answers(len(looks)) if isinstance(one, Ended)]
    assert [one.command_id for one in ends] == [one.id for one in looks]
    assert all(one.result.ok for one in ends)
    assert all(earlier.finished_ms <= later.started_ms for earlier, later in pairwise(ends))


def test_a_look_that_is_refused_keeps_nobody_waiting(tmp_path: Path) -> None:
    """When a look that waited is refused the next one is made."""
    spec = process_spec(tmp_path)
    topics = ["process", "certificate", "ports"]
    with Executor(tmp_path, "database-optimizer") as specialist:
        for seq, topic in enumerate(topics):
            specialist.send(command(spec, "process.look", seq, kind="look", arguments={"topic": topic}))
        ends = [one for one in specialist.answers(len(topics)) if isinstance(one, Ended)]
    assert [(one.status, one.result.code) for one in ends] == [
        ("done", "looked"),
        ("refused", "wrong_topic"),
        ("done", "looked"),
    ]
