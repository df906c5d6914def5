"""Hosts an engine: under Faust in the product, under a bare loop in tests, with equal outputs.

The host owns the positions. It calls ``load``, ``process`` and ``idle`` one at a time, gives every record of a taken
partition to ``process`` once and in order, and ends the process when the engine fails: an output that may not be
durable must never be followed by another one, so nothing is acknowledged and skipped.

    app = build_app(settings, "logmend-detect", "detect-0")
    attach(app, DetectEngine(app.guard(log), ...), topics, "detect")
    await serve(app, stop)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from streams import telemetry
from streams.core.errors import InvariantError
from streams.ports import Engine, Poller, Record, Settling, TopicPartition, Unread
from streams.runtime.app import ReaderApp
from streams.runtime.lease import TOUCH_SECONDS, Lease
from streams.runtime.transport import Batch, Fetch, RawSchema, Seek
from streams.runtime.watchdog import Judge, Lag, Progress, Watchdog

IDLE_LOOK_SECONDS: Final = 0.1
QUIET_SECONDS: Final = 0.15
"""Looked at every 0.1 s: an engine that gets nothing is called at least every 250 ms."""
IDLE_SECONDS_MAX: Final = 1.0
"""Under steady load ``idle`` is called between two batches, this often."""
MEASURE_SECONDS: Final = 5.0
STOP_SECONDS_MAX: Final = 15.0
EXIT_FAILED: Final = 70
NEVER_MS: Final = 2**62

Fail = Callable[[str, BaseException], None]


def end_process(stage: str, error: BaseException) -> NoReturn:
    """Say why, and end the process at once: nothing that is queued is sent."""
    telemetry.process_failed(stage, error)
    os._exit(EXIT_FAILED)


def due(records: Sequence[Record], expected: int, *, holes: bool) -> Sequence[Record]:
    """Return the records from offset ``expected`` on.

    Where ``holes`` may be (transaction markers in a producer's topic), a gap is the slice's to cover. Elsewhere it
    means that something of ours is lost, and raises ``InvariantError``. An ``Unread`` stands for all of its offsets.
    """
    if records and records[0].offset < expected:
        records = [record for record in records if record.offset >= expected]
    if records and not holes and records[-1].offset + 1 - expected != len(records) + _beyond_one(records, expected):
        first, last = records[0], records[-1]
        raise InvariantError(
            f"{first.topic}/{first.partition}: {len(records)} records in [{expected}, {last.offset}]: some are missing"
        )
    return records


def _beyond_one(records: Sequence[Record], expected: int) -> int:
    """Return for how many more offsets than one each the ``Unread`` among records stand."""
    return sum(one.offset - max(one.first_offset, expected) for one in records if isinstance(one, Unread))


class Host:
    """One engine and its positions.

    ``holes_in`` names the topics whose offsets may have gaps. ``fail`` is called with the engine's error; when it
    returns, the error is raised.
    """

    def __init__(
        self,
        engine: Engine,
        stage: str,
        lease: Lease,
        progress: Progress,
        holes_in: Collection[str] = (),
        fail: Fail = end_process,
    ) -> None:
        self.engine = engine
        self.stage = stage
        self.lease = lease
        self.progress = progress
        self.positions: dict[TopicPartition, int] = {}
        self.drained: Callable[[], None] = lambda: None
        self._holes_in = holes_in
        self._fail = fail
        self._lock = asyncio.Lock()
        self._stamp = -1
        self._stopped = False
        self._seek: Seek | None = None
        self._worked_at = self._idled_at = time.monotonic()

    def handed(self) -> None:
        """Note that a fetch is on its way to ``process``."""
        self.progress.handed_since = self.progress.clock()

    def end(self, error: Exception) -> None:
        """End the process because of something that is no fault of the engine's."""
        self._fail(self.stage, error)

    async def load(self, partitions: Iterable[TopicPartition], seek: Seek) -> None:
        """Have the engine take exactly these partitions, and seek to where it starts.

        Faust cancels this when another rebalance begins, and cancels agents when it stops: a call into the engine
        always runs to its end, here as in ``process`` and ``idle_when_quiet``.
        """
        await asyncio.shield(self._call(self._load, sorted(partitions), seek))

    async def process(self, fetch: Fetch) -> None:
        """Give the engine what is due of a fetch; when this returns, all that follows from it is durable."""
        await asyncio.shield(self._call(self._process, fetch))

    async def idle_when_quiet(self) -> None:
        """Call ``idle`` if nothing came for a moment, or if it was not called for a second."""
        now = time.monotonic()
        if now - self._worked_at >= QUIET_SECONDS or now - self._idled_at >= IDLE_SECONDS_MAX:
            await asyncio.shield(self._call(self._idle))

    def measured(self, found: Mapping[TopicPartition, tuple[int, int]]) -> None:
        """Take in (next offset to fetch, offset after the last record) of the partitions.

        What was fetched counts as reached unless a fetch waits: transaction markers at the end are never worked on.
        """
        lags = {}
        for where, (fetched, end) in found.items():
            position = self.positions.get(where)
            if position is None:
                continue
            reached = position if self.progress.handed_since else max(position, fetched)
            lags[where] = Lag(reached, end)
            telemetry.lag(where.topic, where.partition, max(end - reached, 0), reached)
        self.progress.lags = lags
        self.progress.measured()

    async def release(self) -> None:
        """Wait for the call under way and forget all partitions: others may take them now."""
        await self._settle()
        async with self._lock:
            self._forget()

    async def stop(self) -> None:
        """Wait for the call under way; there is none after it."""
        with contextlib.suppress(Exception):  # it is told of already
            await self._settle()
        self._stopped = True
        async with self._lock:
            pass

    async def _settle(self) -> None:
        if isinstance(self.engine, Settling):
            await self._call(self.engine.settle)

    async def _call(self, method: Callable[..., Awaitable[None]], *args: Any) -> None:
        async with self._lock:
            if self._stopped:
                return
            self.progress.calling_since = self.progress.clock()
            try:
                await method(*args)
            except Exception as error:
                self._fail(self.stage, error)
                raise
            finally:
                self.progress.calling_since = 0.0
                self._worked_at = time.monotonic()

    async def _load(self, partitions: Sequence[TopicPartition], seek: Seek) -> None:
        self._forget()
        self._seek = seek
        if partitions:
            positions = await self.engine.load(partitions)
            self._stamp = await seek(positions)
            self.positions.update(positions)
            telemetry.partitions_taken(self.stage, {f"{t}/{p}": offset for (t, p), offset in positions.items()})
        self._open_gate()

    async def _process(self, fetch: Fetch) -> None:
        self.lease.check()
        if fetch.stamp == self._stamp:
            if fetch.out_of_range and self._seek is not None:
                await self._load(sorted(self.positions), self._seek)
            await self._work(self._due(fetch.batch))
        self._open_gate()

    async def _work(self, batch: Batch) -> None:
        if not batch:
            return
        began = time.monotonic()
        await self.engine.process(batch)
        for where, records in batch:
            self.positions[where] = records[-1].offset + 1
        telemetry.batch_done(self.stage, sum(len(records) for _, records in batch), time.monotonic() - began)

    async def _idle(self) -> None:
        if self.positions:
            self.lease.check()
            await self.engine.idle()
        self._idled_at = time.monotonic()

    def _due(self, batch: Batch) -> Batch:
        """Return what is new of the partitions that are loaded."""
        found = []
        for where, records in batch:
            expected = self.positions.get(where)
            if expected is not None:
                new = due(records, expected, holes=where.topic in self._holes_in)
                if new:
                    found.append((where, new))
        return found

    def _forget(self) -> None:
        self._stamp = -1
        for where in self.positions:
            telemetry.let_go(where.topic, where.partition)
        self.positions.clear()
        self.progress.lags = {}

    def _open_gate(self) -> None:
        self.progress.handed_since = 0.0
        self.drained()


# ---------------------------------------------------------------------------------------------------- hosted by Faust


def attach(app: ReaderApp, engine: Engine, topics: Sequence[str], name: str) -> Host:
    """Declare agent ``name``, which gives an engine the records of ``topics``; once an app, before it starts."""
    host = app.host = Host(engine, name, app.lease, app.progress, app.holes_in)

    def drained() -> None:
        app.consumer.drained()  # Faust makes the consumer when the app starts

    async def agent(stream: Any) -> None:
        """Must not yield: an agent that does answers to whatever topic a producer names in a header."""
        async for fetch in stream:
            await host.process(fetch)

    async def revoked(_app: Any, _partitions: Any, **_: Any) -> None:
        await host.release()

    host.drained = drained
    app.agent(app.topic(*topics, schema=RawSchema(), acks=False), name=name)(agent)
    app.on_partitions_revoked.connect(revoked, weak=False)
    return host


async def serve(app: ReaderApp, stop: asyncio.Event) -> None:
    """Run an app with its host until ``stop`` is set; when this returns the last batch is durable.

    Ends the process (70) when Faust crashes, as when the engine does.
    """
    host: Host = app.host
    watchdog = Watchdog(host.stage, Judge(host.progress), asyncio.get_running_loop())
    watchdog.start()
    work = (_run(app, stop), _keep_lease(host), _keep_idle(host), _keep_measuring(app, host))
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        await host.stop()
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await app.stop()
    except Exception as error:  # noqa: BLE001 - whatever it is, a stage that is broken must not live on
        end_process(host.stage, error)
    finally:
        watchdog.stop()
        for task in tasks:
            task.cancel()


async def run_faust(
    engine: Engine, app: ReaderApp, topics: Sequence[str], agent_name: str, stop: asyncio.Event
) -> None:
    """Host an engine under Faust until ``stop`` is set."""
    attach(app, engine, topics, agent_name)
    await serve(app, stop)


async def _run(app: ReaderApp, stop: asyncio.Event) -> None:
    """Start the app, and return when it is to stop, started or not; raises what crashed Faust."""
    starting = asyncio.ensure_future(app.start())
    stopping = asyncio.ensure_future(stop.wait())
    crashing = asyncio.ensure_future(app._crashed.wait())  # noqa: SLF001 - mode has no public event
    waits = {starting, stopping, crashing}
    try:
        while not stopping.done() and not app.crashed:
            done, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
    finally:
        for each in waits:
            each.cancel()
    if app.crashed:
        raise app.crash_reason


async def _keep_lease(host: Host) -> None:
    while True:
        host.lease.touch()
        host.progress.beat()
        await asyncio.sleep(TOUCH_SECONDS)


async def _keep_idle(host: Host) -> None:
    while True:
        await asyncio.sleep(IDLE_LOOK_SECONDS)
        await host.idle_when_quiet()


async def _keep_measuring(app: ReaderApp, host: Host) -> None:
    """Ask the broker every few seconds how far each partition reaches; its silence is for the watchdog to judge."""
    while True:
        await asyncio.sleep(MEASURE_SECONDS)
        try:
            async with asyncio.timeout(MEASURE_SECONDS):
                host.measured(await app.consumer.measure(tuple(host.positions)) if host.positions else {})
        except (KafkaError, TimeoutError) as error:
            telemetry.handled("measure", f"{type(error).__name__}: {error}")


# ----------------------------------------------------------------------------------------------- hosted by a bare loop


async def run_bare(
    engine: Engine,
    log: Poller,
    partitions: Sequence[TopicPartition],
    stop: asyncio.Event,
    *,
    stage: str = "bare",
    holes_in: Collection[str] = (),
) -> None:
    """Host an engine on fixed partitions until ``stop`` is set, without a group and without a lease.

    Raises what the engine raises.
    """
    host = Host(engine, stage, Lease(stage, NEVER_MS), Progress(), holes_in, fail=lambda _stage, _error: None)
    await host.load(partitions, _seek_nothing)
    while not stop.is_set():
        try:
            fetch = Fetch(0, await log.poll(host.positions))
        except OffsetOutOfRangeError:
            fetch = Fetch(0, (), out_of_range=True)
        await host.process(fetch)
        await host.idle_when_quiet()


async def _seek_nothing(_positions: Mapping[TopicPartition, int]) -> int:
    """Each poll names its positions."""
    return 0
