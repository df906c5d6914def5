"""An in-memory broker that delays, loses, splits and repeats as a real one may, and the ``Log`` of each process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from streams.ports import Fetched, Outgoing, Record, TopicPartition
from tests.sim.kernel import Call, Process, Reply, World

START_MS = 1_800_000_000_000
FETCH_RECORDS_MAX = 40
IDLE_MS = (300, 900)
Batch = list[tuple[TopicPartition, Sequence[Record]]]


class BrokerError(Exception):
    """An append or a read failed: a time-out, a lost connection."""


class Partition:
    """Records in order of offset, with holes where markers stand, from ``earliest`` on."""

    def __init__(self) -> None:
        self.records: list[Fetched] = []
        self.earliest = 0
        self.end = 0

    def read(self, start: int, end: int, limit: int) -> list[Fetched]:
        """Return up to ``limit`` records in [start, end)."""
        low, high = 0, len(self.records)
        while low < high:
            middle = (low + high) // 2
            if self.records[middle].offset < start:
                low = middle + 1
            else:
                high = middle
        found = self.records[low : low + limit]
        while found and found[-1].offset >= end:
            found.pop()
        return found


class Faults(Struct):
    """How often appends go wrong; all zero once the world has calmed down."""

    append_fails: float = 0.0
    ack_unknown: float = 0.0
    """Share of acknowledgements that say "I have that already" (offset -1)."""
    read_fails: float = 0.0
    splits: float = 0.0
    """Share of appends whose records land in two steps."""
    slow: float = 0.0


class Clocks(Struct):
    """By how much clocks were set forward (or back) since the beginning."""

    broker_ms: int = 0
    producers_ms: int = 0
    hosts_ms: int = 0


class _Waiting(Struct):
    positions: Mapping[TopicPartition, int]
    answer: Callable[[], None]
    give_up: Callable[[], None]


class Broker:
    """All partitions. ``clocks`` shift the stamps; ``watch`` sees every record as it lands."""

    def __init__(self, world: World, faults: Faults, watch: Callable[[Fetched], None]) -> None:
        self.world = world
        self.faults = faults
        self.partitions: dict[TopicPartition, Partition] = {}
        self.clocks = Clocks()
        self.up_at_ms = 0
        """It is down until then."""
        self._watch = watch
        self._waiting: list[_Waiting] = []
        self._flights: set[_Flight] = set()

    def __getitem__(self, where: TopicPartition) -> Partition:
        found = self.partitions.get(where)
        if found is None:
            found = self.partitions[where] = Partition()
        return found

    @property
    def clock_ms(self) -> int:
        """The broker's clock."""
        return START_MS + self.world.now_ms + self.clocks.broker_ms

    @property
    def host_ms(self) -> int:
        """The clock of the hosts that the pool and the event-log writer run on."""
        return START_MS + self.world.now_ms + self.clocks.hosts_ms

    @property
    def producer_ms(self) -> int:
        """The clock by which lines and samples are stamped."""
        return START_MS + self.world.now_ms + self.clocks.producers_ms

    @property
    def is_down(self) -> bool:
        """Whether it answers nobody."""
        return self.world.now_ms < self.up_at_ms

    def restart(self, length_ms: int) -> None:
        """Go away for a while. What was acknowledged stays; what is on its way is sent again later, or fails."""
        world = self.world
        self.up_at_ms = world.now_ms + length_ms
        world.plays("broker restart")
        for flight in sorted(self._flights, key=lambda one: one.number):
            if world.luck(0.5):
                flight.fail()
                world.plays("append cut short by a broker restart")
        for waiting in self._waiting:
            waiting.give_up()
        self._waiting = []

    def recreate(self, topic: str) -> dict[TopicPartition, Partition]:
        """Delete a topic and make it anew; return its partitions as they were."""
        were = {where: found for where, found in self.partitions.items() if where.topic == topic}
        for where in were:
            self.partitions[where] = Partition()
        return were

    def land(self, out: Outgoing) -> int:
        """Put a record at the end of its partition; return its offset."""
        partition = self[TopicPartition(out.topic, out.partition)]
        stored = Fetched(
            topic=out.topic,
            partition=out.partition,
            offset=partition.end,
            timestamp=self.clock_ms,
            key=out.key,
            value=out.value,
            headers=out.headers,
        )
        partition.records.append(stored)
        partition.end += 1
        self._watch(stored)
        self._wake(TopicPartition(out.topic, out.partition))
        return stored.offset

    def forget(self, flight: _Flight) -> None:
        """Note that an append is over."""
        self._flights.discard(flight)

    def _wake(self, where: TopicPartition) -> None:
        for waiting in list(self._waiting):
            if where in waiting.positions:
                self._waiting.remove(waiting)
                waiting.answer()

    # ------------------------------------------------------------------------------------------------------- appends

    def begin_append(self, records: Sequence[Outgoing], process: Process, reply: Reply) -> None:
        """Take an append: it lands after a while, in one or two steps, or not; then it is acknowledged, or fails."""
        world, faults = self.world, self.faults
        if process.is_zombie:
            world.plays("zombie writes")
        delay_ms = world.between(1, 8) + (world.between(0, 2_000) if world.luck(faults.slow) else 0)
        count = len(records)
        landing = count
        fails = world.luck(faults.append_fails) or (self.is_down and world.luck(0.5))
        if fails:
            world.plays("append fails")
            landing = 0 if self.is_down else world.between(0, count)
        first = world.between(0, landing) if world.luck(faults.splits) else landing
        order = _interleaved(world, records) if world.luck(faults.splits) else list(range(count))
        flight = _Flight(self, process, records, order, landing, reply, fails=fails)
        process.on_crash.append(flight.orphan)
        self._flights.add(flight)
        world.after(delay_ms, partial(flight.land, first))

    # --------------------------------------------------------------------------------------------------------- reads

    def begin_read(self, where: TopicPartition, start: int, end: int, process: Process, reply: Reply) -> None:
        """Answer a read with what is there at the time of the answer."""
        if self._held_up(partial(self.begin_read, where, start, end, process, reply), reply):
            return
        if self.world.luck(self.faults.read_fails):
            reply(self.world.between(1, 50), BrokerError("the connection is lost"))
            return
        found = self[where].read(max(start, self[where].earliest), end, self.world.between(1, FETCH_RECORDS_MAX))
        reply(self.world.between(1, 5), found)

    def begin_bounds(self, where: TopicPartition, process: Process, reply: Reply) -> None:
        """Answer with the bounds of a partition."""
        if self._held_up(partial(self.begin_bounds, where, process, reply), reply):
            return
        reply(self.world.between(1, 5), (self[where].earliest, self[where].end))

    def _held_up(self, again: Callable[[], None], reply: Reply) -> bool:
        """Tell whether the broker is down: then a request waits for it, or fails."""
        if not self.is_down:
            return False
        if self.world.luck(0.3):
            reply(self.world.between(1, 500), BrokerError("nobody answers"))
        else:
            self.world.after(self.up_at_ms - self.world.now_ms + self.world.between(1, 200), again)
        return True

    def begin_poll(self, positions: Mapping[TopicPartition, int], _: Process, reply: Reply) -> None:
        """Answer with a fetch of some of the partitions, or with nothing after a moment."""
        self._answer_poll(positions, reply)

    def _answer_poll(self, positions: Mapping[TopicPartition, int], reply: Reply) -> None:
        world = self.world
        if self.is_down:
            reply(world.between(*IDLE_MS), [])
            return
        for where, position in positions.items():
            if not self[where].earliest <= position <= self[where].end:
                reply(1, BrokerError(f"{where} out of range: {position}"))
                return
        ready = [where for where, position in positions.items() if position < self[where].end]
        batch: Batch = []
        for where in ready:
            if not batch or world.luck(0.5):
                records = self[where].read(positions[where], self[where].end, world.between(1, FETCH_RECORDS_MAX))
                if records:
                    batch.append((where, records))
        if batch:
            reply(world.between(1, 20), batch)
            return
        waiting = _Waiting(positions, partial(self._wake_up, positions, reply), partial(reply, 1, []))
        self._waiting.append(waiting)
        world.after(world.between(*IDLE_MS), partial(self._timed_out, waiting))

    def _wake_up(self, positions: Mapping[TopicPartition, int], reply: Reply) -> None:
        self.world.after(self.world.between(0, 60), partial(self._answer_poll, positions, reply))

    def _timed_out(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
            waiting.give_up()


def _interleaved(world: World, records: Sequence[Outgoing]) -> list[int]:
    """Return an order in which records may land: each partition's own order is kept, nothing else is."""
    ranks: dict[str, float] = {}
    for out in records:
        ranks.setdefault(out.topic, world.random.random())
    return sorted(range(len(records)), key=lambda index: ranks[records[index].topic])


class _Flight:
    """An append on its way. Of what it brings to a partition, a prefix lands, whatever happens."""

    def __init__(
        self,
        broker: Broker,
        process: Process,
        records: Sequence[Outgoing],
        order: list[int],
        landing: int,
        reply: Reply,
        *,
        fails: bool,
    ) -> None:
        self._broker = broker
        self._process = process
        self._records = records
        self._order = order
        self._landing = landing
        self._landed = 0
        self._reply = reply
        self._fails = fails
        self.number = broker.world.count()
        self._offsets = [-1] * len(records)

    def orphan(self) -> None:
        """Let no more than a prefix of what has not landed yet land: the sender died."""
        world = self._broker.world
        if world.luck(0.6):
            self._landing = self._landed if world.luck(0.6) else world.between(self._landed, self._landing)

    def fail(self) -> None:
        """Let nothing more land, and no acknowledgement come."""
        self._landing, self._fails = self._landed, True

    def land(self, upto: int) -> None:
        """Let the records up to a number land, then the rest or the answer."""
        broker, world = self._broker, self._broker.world
        if broker.is_down and self._landed < self._landing:
            world.after(broker.up_at_ms - world.now_ms + world.between(1, 200), partial(self.land, upto))
            return
        while self._landed < min(upto, self._landing):
            index = self._order[self._landed]
            self._offsets[index] = broker.land(self._records[index])
            self._landed += 1
        if self._landed < self._landing:
            world.after(world.between(1, 300), partial(self.land, self._landing))
            return
        broker.forget(self)
        if self.orphan in self._process.on_crash:
            self._process.on_crash.remove(self.orphan)
        if world.trace is not None:
            landed = [f"{out.topic}@{at}" for out, at in zip(self._records, self._offsets, strict=True)]
            world.note(f"{self._process}: {' '.join(landed)}{' fails' if self._fails else ''}")
        if self._fails:
            self._reply(world.between(1, 20), BrokerError("no acknowledgement"))
        else:
            unknown = world.luck(broker.faults.ack_unknown)
            self._reply(world.between(1, 5), [-1 if unknown else offset for offset in self._offsets])


class SimLog:
    """``ports.Log`` over the broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append records; raises ``BrokerError`` when some may not be there."""
        offsets: Sequence[int] = await Call(partial(self.broker.begin_append, records))
        return offsets

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Record]:
        """Return one fetch of records in [start, end)."""
        records: Sequence[Record] = await Call(partial(self.broker.begin_read, where, start, end))
        return records

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return (earliest, end)."""
        bounds: tuple[int, int] = await Call(partial(self.broker.begin_bounds, where))
        return bounds

    async def poll(self, positions: Mapping[TopicPartition, int]) -> Batch:
        """Return a fetch from these positions; empty when nothing came for a moment."""
        batch: Batch = await Call(partial(self.broker.begin_poll, dict(positions)))
        return batch


async def sleep(world: World, milliseconds: int) -> None:
    """Wait in virtual time."""
    await Call(lambda _process, reply: reply(milliseconds, None))


class SimSnapshots:
    """``ports.SnapshotStore`` on a disk that loses, tears and mixes up files."""

    def __init__(self, world: World, damage: float) -> None:
        self.world = world
        self.damage = damage
        self.kept: list[bytes] = []
        self.saves = 0

    async def newest(self) -> Sequence[bytes]:
        """Return the snapshots, newest first."""
        await sleep(self.world, self.world.between(1, 5))
        return list(reversed(self.kept))

    async def save(self, snapshot: bytes) -> None:
        """Keep a snapshot, or lose it, or a part of it, or an older one."""
        await sleep(self.world, self.world.between(1, 10))
        self.saves += 1
        if self.world.luck(self.damage):
            snapshot = snapshot[: self.world.between(0, len(snapshot) - 1)]
        self.kept.append(snapshot)
        del self.kept[:-2]
        if self.world.luck(self.damage):
            self.kept.pop()
