"""Who takes part: consumer groups with zombies, hosts of engines, a pool that acts, and a person who approves."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from msgspec import Struct

from streams.codec import decode_command, decode_decision
from streams.core.events import ActionHalted, ActionResumed, ApprovalGiven, Command, InboxEvent, OutcomeReported
from streams.ports import Engine, Record, TopicPartition
from tests.sim.broker import Batch, Broker, BrokerError, SimLog, sleep
from tests.sim.kernel import Call, Process, World
from tests.sim.scene import COMMANDS, DECISIONS, INBOX_PEOPLE, INBOX_WORKERS, message
from tests.sim.specialists import Specialists

SESSION_MS = 3_000
STALE_POLLS_MAX = 30
NOBODY_MS = 1_000
"""When nobody is there, partitions are given away this much later: who starts joins."""


class Group:
    """A consumer group: who has which partitions. A member that sleeps past its session loses them unawares."""

    def __init__(self, world: World, partitions: Sequence[TopicPartition]) -> None:
        self.world = world
        self.generation = 0
        self._partitions = partitions
        self._members: list[Process] = []
        self._owner: dict[TopicPartition, Process] = {}

    def join(self, member: Process) -> None:
        """Add a member; it may get partitions at the next rebalance."""
        self._members.append(member)

    def leave(self, member: Process) -> None:
        """Remove a member; its partitions are given to others at the next rebalance."""
        self._members.remove(member)

    def rebalance(self) -> None:
        """Give each partition to some member that seems to be alive."""
        self.world.plays("rebalance")
        now_ms = self.world.now_ms
        there = [one for one in self._members if one.alive and one.paused_until_ms - now_ms < SESSION_MS]
        self._owner = {w: there[self.world.between(0, len(there) - 1)] for w in self._partitions} if there else {}
        if not there:
            self.world.after(NOBODY_MS, self.rebalance)
        self.generation += 1
        owners = " ".join(f"{where.topic}/{where.partition}={one.name}" for where, one in self._owner.items())
        self.world.note(f"rebalance {self.generation}: {owners}")

    def of(self, member: Process) -> list[TopicPartition]:
        """Return a member's partitions."""
        return [where for where, one in self._owner.items() if one is member]


class Host:
    """A bare loop around an engine, as ``streams.runtime.host`` is; it notices a rebalance late now and then."""

    def __init__(self, log: SimLog, group: Group, build: Callable[[Process], Engine]) -> None:
        self.positions: dict[TopicPartition, int] = {}
        self.stale = 0.0
        """Share of rebalances that a member notices some polls too late."""
        self.repeats = 0.0
        """Share of fetches that come twice."""
        self.engine: Engine | None = None
        self._log = log
        self._group = group
        self._build = build

    async def run(self, process: Process) -> None:
        """Load, poll, process, for ever."""
        engine, world = self._build(process), process.world
        self.engine = engine
        generation, lag = -1, 0
        self.positions = {}
        while True:
            if generation != self._group.generation and lag == 0:
                generation = self._group.generation
                process.is_zombie = False
                mine = self._group.of(process)
                self.positions = {}
                self.positions = await engine.load(mine) if mine else {}
            if not self.positions:
                await sleep(world, world.between(50, 400))
            else:
                batch = await self._log.poll(self.positions)
                await self._work(engine, world, batch)
            if generation != self._group.generation:
                lag = world.between(1, STALE_POLLS_MAX) if lag == 0 and world.luck(self.stale) else max(lag - 1, 0)

    async def _work(self, engine: Engine, world: World, batch: Batch) -> None:
        if not batch:
            await engine.idle()
            return
        for _ in range(2 if world.luck(self.repeats) else 1):
            await engine.process(batch)
        for where, records in batch:
            self.positions[where] = records[-1].offset + 1


class Entry(Struct):
    """What the pool's journal knows of a command."""

    outcome: OutcomeReported | None = None
    started: bool = False
    reported: bool = False


class Pool:
    """Acts on commands as the pool of a host does, with a journal on a disk; counts every effect."""

    def __init__(self, world: World, broker: Broker, broken: set[str]) -> None:
        self.journal: dict[str, Entry] = {}
        self.effects: dict[str, int] = {}
        self.position = 0
        self._world = world
        self._broker = broker
        self._log = SimLog(broker)
        self._broken = broken
        self._specialists = Specialists(world)

    async def run(self, process: Process) -> None:
        """Finish what was under way, then take commands from the first one on."""
        await self._say(self._specialists.restarted(self._broker.host_ms))
        for command_id, entry in list(self.journal.items()):
            if entry.outcome is not None and not entry.reported:
                await self._report(command_id, entry)
        self.position = 0
        while True:
            for _, records in await self._log.poll({COMMANDS: self.position}):
                for record in records:
                    await self._take(process, record)
                    self.position = record.offset + 1
            await self._say(self._specialists.die(self._broker.host_ms))

    async def _say(self, events: list[InboxEvent]) -> None:
        for event in events:
            await self._log.append([message(INBOX_WORKERS, event)])

    async def _take(self, process: Process, record: Record) -> None:
        command = decode_command(record.value or b"")
        entry = self.journal.setdefault(command.id, Entry())
        if entry.outcome is None:
            entry.outcome = await self._outcome(process, command, entry)
        if not entry.reported or self._world.luck(0.05):
            await self._report(command.id, entry)

    async def _outcome(self, process: Process, command: Command, entry: Entry) -> OutcomeReported:
        world = self._world
        if entry.started and not command.repeatable:
            return _outcome(command, process, "in_doubt", "unknown", self._broker.host_ms)
        if not entry.started:
            if self._broker.host_ms > command.expires_ms:
                return _outcome(command, process, "expired", "none", self._broker.host_ms)
            if world.luck(0.05):
                return _outcome(command, process, "refused", "none", self._broker.host_ms)
            await sleep(world, world.between(1, 5))
            entry.started = True
        await sleep(world, world.between(1, 20))
        if command.kind != "recovery":
            return await self._attend(process, command)
        self.effects[command.id] = self.effects.get(command.id, 0) + 1
        ok = world.luck(0.8)
        if ok and world.luck(0.7):
            self._broken.discard(command.service)
        await sleep(world, world.between(1, 500))
        return _outcome(command, process, "done", "once", self._broker.host_ms, ok=ok)

    async def _attend(self, process: Process, command: Command) -> OutcomeReported:
        """Bring a specialist up, let it look, or let it go; what fails had no effect."""
        world = self._world
        ok = world.luck(0.9)
        if ok:
            await self._say(self._specialists.carry_out(command, self._broker.host_ms))
        await sleep(world, world.between(1, 300))
        return _outcome(command, process, "done", "none", self._broker.host_ms, ok=ok)

    async def _report(self, command_id: str, entry: Entry) -> None:
        if entry.outcome is not None:
            await self._log.append([message(INBOX_WORKERS, entry.outcome)])
            entry.reported = True


def _outcome(
    command: Command, process: Process, status: str, effect: str, finished_ms: int, *, ok: bool = False
) -> OutcomeReported:
    return OutcomeReported(
        command_id=command.id,
        command_seq=command.seq,
        host=command.host,
        worker=process.name,
        status=status,
        ok=ok,
        code="",
        effect=effect,
        started_ms=finished_ms if effect != "none" else 0,
        finished_ms=finished_ms if effect != "none" else 0,
        skew_ms=0,
    )


class Person:
    """Answers approval requests, and throws the kill switch now and then."""

    def __init__(self, world: World, broker: Broker) -> None:
        self.calm = False
        self._world = world
        self._log = SimLog(broker)
        self._position = 0

    async def run(self, _process: Process) -> None:
        """Look at the decisions for ever."""
        while True:
            for _, records in await self._log.poll({DECISIONS: self._position}):
                for record in records:
                    await self._look(record)
                    self._position = record.offset + 1
            if not self.calm and self._world.luck(0.03):
                await self._halt()

    async def _look(self, record: Record) -> None:
        decision = decode_decision(record.value or b"")
        if decision.kind == "fact_rejected":
            await self._log.append([message(INBOX_PEOPLE, ActionResumed(author="ada", reason="looked at it"))])
        if decision.kind != "approval_requested" or decision.command is None or self._world.luck(0.2):
            return
        await sleep(self._world, self._world.between(10, 3_000))
        given = ApprovalGiven(
            decision_id=decision.id,
            command_sha256=decision.command.sha256,
            approved=self._world.luck(0.8),
            author="ada",
            reason="",
        )
        await self._log.append([message(INBOX_PEOPLE, given)])

    async def _halt(self) -> None:
        await self._log.append([message(INBOX_PEOPLE, ActionHalted(author="ada", reason="looks odd"))])
        await sleep(self._world, self._world.between(100, 3_000))
        await self._log.append([message(INBOX_PEOPLE, ActionResumed(author="ada", reason="was fine"))])


def retrying(run: Callable[[Process], Coroutine[Call, Any, None]]) -> Callable[[Process], Coroutine[Call, Any, None]]:
    """Wrap a role of the outside world so that it goes on after an error of the broker."""

    async def go_on(process: Process) -> None:
        while True:
            try:
                await run(process)
            except BrokerError:
                await sleep(process.world, 100)

    return go_on
