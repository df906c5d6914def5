"""The event-log writer in a run: the real one, on a disk that is full or read-only for a while and takes no syncs."""

from __future__ import annotations

import errno
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar
from unittest import mock

from analytics import writer as writer_module
from analytics.files import DiskFiles
from analytics.manifest import load
from analytics.replay import replay
from analytics.verify import verify
from analytics.writer import EventLogWriter
from streams.codec import decode_command, decode_decision
from streams.core.errors import InvariantError
from streams.core.fold import Fold
from streams.ports import Outgoing, Record, TopicPartition
from tests.analytics.archive import archived
from tests.sim.broker import Broker, SimLog, sleep
from tests.sim.kernel import Call, KilledError, Process, World
from tests.sim.scene import CATALOGUE, COMMANDS, DECISIONS, EVIDENCE, FACTS, TOPICS
from tests.sim.trouble import Menu

T = TypeVar("T")
FRESH_MS: Final = 10_000
"""L1: what was recorded is in the event log after this."""
STEP_MS: Final = 500
RETRY_MS: Final = 2_000
WHERE: Final = {"facts": FACTS, "decisions": DECISIONS, "commands": COMMANDS, "evidence": EVIDENCE}


class SimFiles(DiskFiles):
    """A disk that has no room or is read-only until some time, and on which the process dies now and then."""

    def __init__(self, world: World) -> None:
        self.full_until_ms = self.read_only_until_ms = 0
        self.dies = 0.0
        self._world = world

    def write(self, path: Path, data: bytes) -> None:
        """Write, or write half of it and fail."""
        self._begin(path)
        if self._world.now_ms < self.full_until_ms:
            path.write_bytes(data[: len(data) // 2])
            self._world.plays("disk full")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        path.write_bytes(data)

    def rename(self, source: Path, target: Path) -> None:
        """Rename, or fail."""
        self._begin(target)
        super().rename(source, target)

    def sync(self, directory: Path) -> None:
        """Sync nothing: who dies here is the process, not the machine."""
        self._begin(directory)

    def remove(self, path: Path) -> None:
        """Remove, or fail."""
        self._begin(path)
        super().remove(path)

    def _begin(self, path: Path) -> None:
        if self._world.now_ms < self.read_only_until_ms:
            self._world.plays("disk read-only")
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        if self._world.luck(self.dies):
            self._world.plays("event-log writer killed in a commit")
            raise KilledError(str(path))


class Archiver:
    """The process that archives, and what is asked of it at the end."""

    def __init__(
        self,
        world: World,
        broker: Broker,
        menu: Menu,
        trouble_ms: int,
        directory: Path,
        make: Callable[..., EventLogWriter],
    ) -> None:
        self.files = SimFiles(world)
        self._world = world
        self._broker = broker
        self._directory = directory
        self._make = make
        self._late: list[str] = []
        self.files.dies = menu.degree("disk deaths", 0.0, 0.01, 0.03)
        at = partial(world.between, 0, trouble_ms)
        if menu.has("disk", 0.6):
            world.after(at(), partial(self._fill, world.between(2_000, 12_000)))
        if menu.has("disk", 0.6):
            world.after(at(), partial(self._mount_read_only, world.between(2_000, 12_000)))

    async def run(self, _process: Process) -> None:
        """Archive for ever, as the body of ``EventLogWriter.run`` does, which itself waits by asyncio."""
        with self._open(SimLog(self._broker)) as writer:
            while True:
                done = await writer._managed(writer.step)
                await sleep(self._world, STEP_MS if done else RETRY_MS)

    def calm(self) -> None:
        """Let the disk have room again and nobody die."""
        self.files.full_until_ms = self.files.read_only_until_ms = 0
        self.files.dies = 0.0

    def _open(self, log: SimLog | Settled) -> EventLogWriter:
        return self._make(log, TOPICS, self._directory, files=self.files, clock_ms=partial(_clock_ms, self._broker))

    def _fill(self, length_ms: int) -> None:
        self.files.full_until_ms = self._world.now_ms + length_ms

    def _mount_read_only(self, length_ms: int) -> None:
        self.files.read_only_until_ms = self._world.now_ms + length_ms

    # ------------------------------------------------------------------------------------------------- judgement

    def wait(self) -> None:
        """Let pass the time in which what is there now must be archived; what is not will be told by ``judge``."""
        ends = {name: self._broker[where].end for name, where in WHERE.items()}
        self._world.run(self._world.now_ms + FRESH_MS)
        manifest = load(self._directory)
        self._late = [name for name, end in ends.items() if max(manifest.stream(name).position, 0) < end]

    def judge(self, process: Process) -> Iterator[str]:
        """Yield what is wrong with the archive, once everything else has come to rest."""
        yield from (f"(f) {name} are not archived after {FRESH_MS} ms" for name in self._late)
        process.leave()
        with self._open(settled := Settled(self._broker)) as writer:
            try:
                at_once(writer.flush())
            except InvariantError as error:
                yield f"(f) the writer finds that the archive contradicts the log: {error}"
                return
        found = archived(self._directory)
        for name, where in WHERE.items():
            if found[name] != [(one.offset, one.value) for one in _first(name, self._broker[where].records)]:
                yield f"(f) the archived {name} are not what the topic holds"
        report = at_once(verify(self._directory, settled))
        yield from (f"(f) verify: {one.file}: {one.message}" for one in report.findings)
        again = replay(self._directory, lambda: Fold.new(CATALOGUE))
        if not again.ok or again.tail:
            yield f"(f) replay: {again.problem or again.differences}"


def _clock_ms(broker: Broker) -> int:
    return broker.host_ms


def _first(name: str, records: Sequence[Record]) -> Iterator[Record]:
    """Yield the records that are archived: of decisions and commands, the first occurrences."""
    seen: set[int] = set()
    for record in records:
        if name in {"decisions", "commands"}:
            decode = decode_decision if name == "decisions" else decode_command
            seq = decode(record.value or b"").seq
            if seq in seen:
                continue
            seen.add(seq)
        yield record


class Settled:
    """A log that answers at once: for what is looked at when nothing moves any more."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append nothing: who looks must not write."""
        raise AssertionError(f"appended while it only looks: {records}")

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Record]:
        """Return all records in [start, end)."""
        partition = self._broker[where]
        return partition.read(max(start, partition.earliest), end, len(partition.records))

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return (earliest, end)."""
        return self._broker[where].earliest, self._broker[where].end


def at_once(work: Coroutine[Call, Any, T]) -> T:
    """Run a coroutine that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise AssertionError("it waits for something")


async def _inline(function: Callable[..., T], *arguments: Any) -> T:
    return function(*arguments)


def unthreaded() -> Any:
    """Patch the writer to do in its own thread what it does in others: there are none here."""
    return mock.patch.object(writer_module, "asyncio", SimpleNamespace(to_thread=_inline))
