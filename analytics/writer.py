"""The event-log writer: facts, decisions, commands and evidence from Kafka into Parquet segments, exactly once.

The manifest is the position: what it names is archived, what comes after is read again. So a death at any moment costs
work and nothing else. One cut takes the four topics' ends in the order commands, decisions, facts, evidence and
archives them the other way round: whatever a decision or a command names is in the log before it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec
import pyarrow.parquet as pq

from analytics.budget import MEASURE_MS, WARNING_SHARE, Budget, oldest, without_evidence
from analytics.compact import EVIDENCE_LEVEL_MAX, LEVEL_MAX, merge, plan, replaced
from analytics.cutting import raw_of, segment_of
from analytics.erasure import Erasing, Request, asked, refuse
from analytics.files import DiskFiles, Files
from analytics.manifest import STREAMS, Gap, Segment, Stream
from analytics.readers import (
    FactsReader,
    Raw,
    Reader,
    Rows,
    digest_of,
    reader_for,
)
from analytics.store import Store
from streams.core.errors import InvariantError
from streams.ports import Log, TopicPartition
from streams.topics import DAY_MS, Topics

SEGMENT_ROWS_MAX: Final = 10_000
SEGMENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Kafka bytes in a segment: it is built in memory, as rows that take ten times that."""
LINGER_MS: Final = 5_000
"""A record waits this long for others to share its segment."""
GRACE_MS: Final = 60_000
"""Merged files stay this long for readers of the manifest before."""
EVIDENCE_DAYS: Final = 30
STEP_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 2.0


class Observer(Protocol):
    """Whoever counts and logs."""

    def wrote(self, stream: str, records: int, size_bytes: int) -> None:
        """Hear that a segment is durable."""
        ...

    def failed(self, message: str) -> None:
        """Hear of what did not work and is tried again; ``message`` says what to do about it."""
        ...

    def measured(self, used_bytes: int, budget_bytes: int) -> None:
        """Hear how much of its disk budget the data directory takes."""
        ...


class _Silent:
    def wrote(self, stream: str, records: int, size_bytes: int) -> None:
        """Say nothing."""

    def failed(self, message: str) -> None:
        """Say nothing."""

    def measured(self, used_bytes: int, budget_bytes: int) -> None:
        """Say nothing."""


def wall_ms() -> int:
    """Return the wall clock in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class EventLogWriter:
    """Archives one fleet's topics into one directory: ``with EventLogWriter(...) as writer: await writer.run(stop)``.

    ``clock_ms`` is milliseconds since 1970 UTC; it decides when to cut and when to remove, never what is written.
    Segments of evidence are let go once all of their text was kept for ``evidence_days``, and before that, the oldest
    first, when ``budget`` is used up.
    """

    def __init__(
        self,
        log: Log,
        topics: Topics,
        directory: Path,
        *,
        files: Files | None = None,
        clock_ms: Callable[[], int] = wall_ms,
        observer: Observer | None = None,
        evidence_days: int = EVIDENCE_DAYS,
        budget: Budget | None = None,
    ) -> None:
        names = {
            "facts": topics.facts,
            "decisions": topics.decisions,
            "commands": topics.commands,
            "evidence": topics.evidence,
        }
        self._log = log
        self._where = {name: TopicPartition(names[name], 0) for name in STREAMS}
        self._store = Store(directory, files or DiskFiles())
        self._clock_ms = clock_ms
        self._observer = observer or _Silent()
        self._evidence_kept_ms = evidence_days * DAY_MS
        self._budget = budget
        self._measured_ms = -MEASURE_MS
        self._is_short = False
        self._looked_ms: int | None = None
        self._pending_since_ms: int | None = None
        self._dirty = False
        self._compacting = True
        self._merged: dict[str, tuple[Segment, ...]] = {}
        """Each stream's segments when there was nothing left to merge in them."""
        self._digests: dict[str, dict[int, str]] = {}
        self._erasing: dict[str, Erasing] = {}

    def __enter__(self) -> Self:
        """Take the directory and remove what was never committed; a full disk is met again, and reported, by ``run``.

        Raises ``InputError`` when another writer has the directory, when it can't be made, or when its manifest is
        damaged, and ``InvariantError`` when that is missing.
        """
        self._store.open()
        self._dirty = True
        try:
            self._recover()
        except OSError:
            return self
        except BaseException:
            self._store.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the directory; what is not archived yet will be read again."""
        self._store.close()

    async def run(self, stop: asyncio.Event) -> None:
        """Archive until ``stop`` is set, then archive what there is and return.

        A full or read-only disk is reported and tried again. ``InvariantError`` ends it: the log contradicts itself.
        """
        while not stop.is_set():
            pause_seconds = STEP_SECONDS
            if not await self._managed(self.step):
                pause_seconds = RETRY_SECONDS
            try:
                await asyncio.wait_for(stop.wait(), pause_seconds)
            except TimeoutError:
                continue
        await self._managed(self.flush)

    async def step(self) -> int:
        """Cut segments if it is time to, look after the old ones, and return how many records were archived.

        After an ``OSError`` nothing is lost and nothing is doubled: call it again.
        """
        requests = asked(self._store.directory)
        ends = await self._ends()
        waiting = {name: ends[name] - self._store.manifest.stream(name).position for name in STREAMS}
        archived = await self._cut(ends) if requests or self._is_due(waiting) else 0
        await asyncio.to_thread(self._erase, requests)
        await asyncio.to_thread(self._look_after)
        return archived

    async def flush(self) -> int:
        """Archive everything that is in Kafka now, and return how many records that was."""
        return await self._cut(await self._ends())

    async def _managed(self, work: Callable[[], Awaitable[int]]) -> bool:
        """Do some work; say False, and tell the observer, when the disk did not let us."""
        try:
            await work()
        except ConnectionError:
            raise
        except OSError as error:
            self._observer.failed(
                f"the event log in {self._store.directory} can't be written: {error.strerror or error}. Nothing is "
                "lost: Kafka keeps what is missing. Make room or set the permissions right; it is tried again"
            )
            return False
        return True

    def _is_due(self, waiting: dict[str, int]) -> bool:
        looked_ms, now_ms = self._looked_ms, self._clock_ms()
        self._looked_ms = now_ms
        if max(waiting.values()) <= 0:
            self._pending_since_ms = None
            return False
        if self._pending_since_ms is None:  # it came after the last look, which may be as long ago as a merge takes
            self._pending_since_ms = now_ms if looked_ms is None else looked_ms
        lingered = not 0 <= now_ms - self._pending_since_ms < LINGER_MS
        return lingered or max(waiting.values()) >= SEGMENT_ROWS_MAX

    async def _ends(self) -> dict[str, int]:
        """Return each topic's end, taken so that what a record names lies below the ends taken after it."""
        if self._dirty:
            await asyncio.to_thread(self._recover)
        ends = {}
        for name in reversed(STREAMS):
            earliest, end = await self._log.bounds(self._where[name])
            await asyncio.to_thread(self._settle, name, earliest, end)
            ends[name] = end
        return ends

    def _recover(self) -> None:
        self._digests.clear()
        self._store.recover()
        self._dirty = False

    def _settle(self, name: str, earliest: int, end: int) -> None:
        """Hold our position against what the broker still has."""
        stream = self._store.manifest.stream(name)
        topic = self._where[name].topic
        if stream.position > end:
            raise InvariantError(
                f"{topic} ends at {end}, but {stream.position} records are archived: this is another topic of that "
                "name, or it was cut; move the log directory away to begin a new log"
            )
        if earliest <= max(stream.position, 0):
            if stream.position < 0:
                self._commit(name, msgspec.structs.replace(stream, topic=topic, position=0), {})
            return
        if name in {"facts", "decisions"}:
            raise InvariantError(
                f"{topic} begins at {earliest}, but the archive ends at {max(stream.position, 0)}: "
                "restore the log directory from a backup"
            )
        gap = Gap(first=max(stream.position, 0), last=earliest - 1)
        self._commit(
            name, msgspec.structs.replace(stream, topic=topic, position=earliest, gaps=(*stream.gaps, gap)), {}
        )
        self._observer.failed(f"{topic}: offsets {gap.first} to {gap.last} were deleted before they were archived")

    async def _cut(self, ends: dict[str, int]) -> int:
        archived = 0
        for name in STREAMS:
            while (start := self._store.manifest.stream(name).position) < ends[name]:
                records, to_offset = await self._read(name, start, ends[name])
                await asyncio.to_thread(self._archive, name, records, to_offset)
                archived += len(records)
        self._pending_since_ms = None
        return archived

    async def _read(self, name: str, start: int, end: int) -> tuple[list[Raw], int]:
        """Return the records of the next segment, and the offset after the last one that it accounts for."""
        records: list[Raw] = []
        size = 0
        while start < end and len(records) < SEGMENT_ROWS_MAX and size < SEGMENT_BYTES_MAX:
            fetched = await self._log.read(self._where[name], start, end)
            if not fetched:
                return records, end
            for record in fetched[: SEGMENT_ROWS_MAX - len(records)]:
                records.append(raw_of(record))
                size += len(records[-1].value)
                start = record.offset + 1
        return records, start

    def _archive(self, name: str, records: Sequence[Raw], to_offset: int) -> None:
        """Commit one segment that accounts for everything below ``to_offset``."""
        manifest = self._store.manifest
        stream = manifest.stream(name)
        reader = reader_for(name, stream, manifest.ledger, lambda seq: self._digest(name, seq))
        rows: Rows = {}
        for record in records:
            reader.take(record, rows)
        segment, contents = segment_of(stream.position, to_offset - 1, records, rows, reader)
        grown = msgspec.structs.replace(
            stream,
            position=to_offset,
            segments=(*stream.segments, segment),
            last_seq=max(stream.last_seq, segment.last_seq),
            head=segment.head or stream.head,
        )
        self._commit(name, grown, contents, reader)
        self._observer.wrote(name, len(records), segment.size)

    def _commit(self, name: str, stream: Stream, contents: dict[str, bytes], reader: Reader | None = None) -> None:
        manifest = self._store.manifest
        manifest = msgspec.structs.replace(manifest, streams={**manifest.streams, name: stream})
        if isinstance(reader, FactsReader):
            manifest = msgspec.structs.replace(manifest, ledger=reader.ledger)
        self._dirty = True
        self._store.commit(manifest, contents)
        self._dirty = False

    def _digest(self, name: str, seq: int) -> str:
        """Return the hash of an archived record by its number; a segment's are kept until another is asked for."""
        known = self._digests.get(name, {})
        if seq not in known:
            segments = self._store.manifest.stream(name).segments
            holder = next((one for one in segments if one.first_seq <= seq <= one.last_seq), None)
            entry = holder.file_of(name) if holder else None
            if entry is None:
                raise InvariantError(f"{name}: seq {seq} is repeated, but was never archived")
            table = pq.read_table(self._store.segments / entry.name, columns=["seq", "kafka_value"])
            known = {row["seq"]: digest_of(row["kafka_value"]) for row in table.to_pylist()}
            self._digests[name] = known
        if seq not in known:
            raise InvariantError(f"{name}: seq {seq} is repeated, but was never archived")
        return known[seq]

    def _erase(self, requests: Sequence[tuple[Path, Request]]) -> None:
        """Go on with the first erasure that somebody asked for; all that was recorded before is archived by now."""
        for path, request in requests[:1]:
            erasing = self._erasing.setdefault(request.id, Erasing(self._store, request))
            self._dirty = True
            try:
                if erasing.step(self._clock_ms()):
                    path.unlink()
            except InvariantError as error:
                refuse(path, f"{error}. Run logmend verify")
                self._observer.failed(f"not all was erased: {error}. Run logmend verify")
            if not path.exists():
                del self._erasing[request.id]
            self._dirty = False

    def _look_after(self) -> None:
        """Merge small segments, let old evidence go, remove what was retired long enough ago."""
        now_ms = self._clock_ms()
        self._dirty = True
        for name in STREAMS:
            self._merge(name, now_ms)
        self._expire(now_ms)
        self._keep_within(now_ms)
        self._store.sweep(now_ms, GRACE_MS)
        self._dirty = False

    def _merge(self, name: str, now_ms: int) -> None:
        """Merge one run of a stream; after damage there is no more merging, and ``verify`` says what to do."""
        manifest = self._store.manifest
        stream = manifest.stream(name)
        if not self._compacting or stream.segments is self._merged.get(name):
            return
        run = plan(stream, EVIDENCE_LEVEL_MAX if name == "evidence" else LEVEL_MAX)
        if not run:
            self._merged[name] = stream.segments
            return
        try:
            merged, contents = merge(self._store.segments, run)
        except InvariantError as error:
            self._compacting = False
            self._observer.failed(f"segments are not merged any more: {error}. Run logmend verify")
            return
        changed = msgspec.structs.replace(manifest, streams={**manifest.streams, name: replaced(stream, run, merged)})
        gone = tuple(file for segment in run for file in segment.files)
        self._store.commit(self._store.retire(changed, gone, now_ms), contents)

    def _expire(self, now_ms: int) -> None:
        """Let go of the oldest evidence segments once all of their text has been kept for long enough."""
        manifest = self._store.manifest
        stream = manifest.stream("evidence")
        kept = stream.segments
        while kept and now_ms - kept[0].newest_ms > self._evidence_kept_ms:
            kept = kept[1:]
        if gone := len(stream.segments) - len(kept):
            changed, files = without_evidence(manifest, gone)
            self._store.commit(self._store.retire(changed, files, now_ms), {})

    def _keep_within(self, now_ms: int) -> None:
        """Measure, now and then, what the data directory takes; let the oldest text go at once when it is too much.

        From ``WARNING_SHARE`` of the budget on that is said, once; decisions, facts and commands never go.
        """
        if self._budget is None or 0 <= now_ms - self._measured_ms < MEASURE_MS:
            return
        self._measured_ms = now_ms
        used = self._budget.used()
        self._observer.measured(used, self._budget.bytes_max)
        manifest = self._store.manifest
        if gone := oldest(manifest.stream("evidence"), used - self._budget.bytes_max):
            changed, files = without_evidence(manifest, gone)
            self._store.commit(changed, {})
            self._store.forget(frozenset(file.name for file in files))
        was, self._is_short = self._is_short, used >= WARNING_SHARE * self._budget.bytes_max
        if gone or (self._is_short and not was):
            self._observer.failed(self._budget.said(used, gone))
