"""Decide: folds facts into decisions, one active owner per fleet.

The order of writes is what makes it safe: a decision is appended and acknowledged before the batch is done, and a
snapshot is taken of acknowledged state only. After a crash the facts are folded again from a snapshot; what the log
has already is compared byte by byte instead of being appended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from streams import telemetry
from streams.agents.foretelling import Foretelling
from streams.agents.healing import Healing
from streams.agents.reading import Chain, Tail, decision_of, past_of
from streams.codec import decode_fact, encode
from streams.core.chain import sha256_of
from streams.core.directory import Directory
from streams.core.errors import InputError, InvariantError, OlderEpochError, OtherEpochError, OtherVersionError
from streams.core.events import ActionHalted, Decision, Fact, Ticked
from streams.core.fold import REJECTED_BY, Fold
from streams.core.kinds import SENDING_KINDS
from streams.core.past import Past
from streams.core.saved import Saved, pack, unpack
from streams.ports import Log, Outgoing, Record, SnapshotStore, TopicPartition
from streams.runtime.view import FactsView
from streams.topics import Topics

TICK_MS: Final = 1_000
TURN_MS: Final = 250
"""Facts are folded for so long on end. A backlog of a busy host took a minute: its owner lost its lease on the way, and
so did the next one, each with nothing decided."""
FoldFactory = Callable[[bytes | None], Fold]
"""From a snapshot of a fold to that fold, or a new one; ``InputError`` when it can't be restored."""


class Keeping(NamedTuple):
    """A place for snapshots and how often it gets one, in milliseconds."""

    store: SnapshotStore
    every_ms: int


class _Kept(NamedTuple):
    """When a place last got a snapshot (the engine's clock), and of which facts."""

    at_ms: int = 0
    facts_offset: int = 0


class _Bounds(NamedTuple):
    earliest: int
    end: int


class _Decided(NamedTuple):
    """A decision that waits to be appended, with its bytes."""

    decision: Decision
    data: bytes


class _PoisonError(Exception):
    """A fact could not be folded, or what it led to can't be recorded; the fold's state is worthless now."""


class DecideEngine:
    """The stage; see ``streams.ports.Engine``. ``clock_ms`` never goes back; it says when to tick and to save."""

    def __init__(
        self,
        log: Log,
        topics: Topics,
        snapshots: Sequence[Keeping],
        fold_factory: FoldFactory,
        owner: str,
        clock_ms: Callable[[], int],
    ) -> None:
        self._log = log
        self._topics = topics
        self._facts = TopicPartition(topics.facts, 0)
        self._decisions = TopicPartition(topics.decisions, 0)
        self._snapshots = snapshots
        self._fold_factory = fold_factory
        self._owner = owner
        self._clock_ms = clock_ms
        self._fold = fold_factory(None)
        self._tail = Tail(log, self._decisions, Chain(), 0, 0)
        self._past = Past()
        self._pending: list[_Decided] = []
        self._sends = False
        """Whether a pending decision sends a command, which is not to wait for what is folded after it."""
        self._poisonous: dict[int, str] = {}
        self._healing = Healing()
        self._foretelling = Foretelling()
        self._halt_told = False
        self._heard_ms = 0
        self._kept = [_Kept() for _ in snapshots]

    async def load(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Restore the newest usable snapshot; the facts after it are folded again by ``process``."""
        if self._facts not in partitions:
            return {}
        await self._restore()
        self._healing = Healing()
        self._foretelling = Foretelling()
        self._halt_told = False
        self._heard_ms = self._clock_ms()
        self._kept = [_Kept(self._heard_ms, self._fold.directory.facts_offset) for _ in self._snapshots]
        self._measure()
        return {self._facts: self._fold.directory.facts_offset}

    async def process(self, batch: Sequence[tuple[TopicPartition, Sequence[Record]]]) -> None:
        """Fold facts; when this returns, what was decided is acknowledged."""
        for where, records in batch:
            if where == self._facts:
                await self._take_all(records)
                telemetry.folded(records[-1].timestamp)
        await self._flush()
        await self._tell_halt()
        self._measure()
        self._heard_ms = self._clock_ms()
        await self._keep()

    async def idle(self) -> None:
        """Append a tick when a timer is open and a second passed without a fact; snapshot when it is time."""
        now_ms = self._clock_ms()
        if self._fold.timer_open and now_ms - self._heard_ms >= TICK_MS:
            await self._log.append([Outgoing(self._topics.facts, encode(Ticked(owner=self._owner)), b"")])
            self._heard_ms = now_ms
        await self._keep()

    def _measure(self) -> None:
        """Say how things stand in the fold."""
        telemetry.canary_heard(self._fold.canary_at_ms)
        telemetry.incidents_open(self._fold.incidents_open)
        telemetry.people_waited_for("approval", self._fold.approvals_waiting)
        telemetry.people_waited_for("escalation", self._fold.escalations_waiting)
        telemetry.action_halted(halted=bool(self._fold.directory.halted_by))

    # ----------------------------------------------------------------------------------------------------- folding

    async def _take_all(self, records: Sequence[Record]) -> None:
        """Fold facts in order, bit by bit: what is to be done is appended before the facts after it are folded.

        Where a newer epoch begins, what was decided before it is appended, and we end.
        """
        try:
            await self._in_turns(records, self._take)
        except OtherEpochError:
            await self._flush()
            raise

    async def _in_turns(self, records: Sequence[Record], take: Callable[[Record], Awaitable[None]]) -> None:
        """Take facts; append what was decided so far, and let others run, after each that sends and after a while."""
        turn_ms = self._clock_ms()
        for record in records:
            await take(record)
            if self._sends or self._clock_ms() - turn_ms >= TURN_MS:
                await self._flush()
                await self._keep()
                await asyncio.sleep(0)  # the lease of this process is one of the others
                turn_ms = self._clock_ms()

    async def _take(self, record: Record) -> None:
        """Fold a fact. One that the fold fails on is rejected in its place, by a fold that never saw it."""
        try:
            await self._step(record)
        except _PoisonError as error:
            telemetry.fact_rejected(record.offset, error.__cause__ or error)
            self._poisonous[record.offset] = type(error.__cause__).__name__
            await self._refold(record.offset + 1)

    async def _step(self, record: Record) -> None:
        if record.offset < self._fold.directory.facts_offset:
            return
        fact = _fact_in(record)
        if record.offset <= self._past.facts_offset:
            self._fold.relive(fact, record.offset, record.timestamp, self._past)
            return
        reason = await self._reason_against(record.offset, fact)
        try:
            if fact is None or reason:
                decisions = self._fold.reject(fact, record.offset, record.timestamp, reason)
            else:
                decisions = self._fold.apply(fact, record.offset, record.timestamp)
        except (InvariantError, MemoryError, OtherEpochError):
            raise
        except Exception as error:
            raise _PoisonError(f"the fold failed on fact {record.offset}") from error
        for decision in decisions:
            if not await self._tail.holds(decision):
                self._pending.append(_Decided(decision, _encoded(decision)))
                self._sends |= decision.kind in SENDING_KINDS
        telemetry.fact_taken(type(fact).__name__)

    async def _reason_against(self, offset: int, fact: Fact | None) -> str:
        """Return why a fact must not be applied: it was rejected before, or it can't be read; ``""`` if it may be."""
        recorded = await self._tail.peek()
        if recorded is not None and recorded.kind == "fact_rejected" and recorded.facts_offset == offset:
            return recorded.reason
        return self._poisonous.get(offset, "undecodable" if fact is None else "")

    async def _flush(self) -> None:
        if not self._pending:
            return
        decisions = [one.decision for one in self._pending]
        out = [Outgoing(self._topics.decisions, data, one.incident.encode()) for one, data in self._pending]
        offsets = await self._log.append(out)
        await self._tail.appended(decisions, offsets)
        for decision in decisions:
            telemetry.decided(decision.kind)
            if decision.kind in SENDING_KINDS:
                telemetry.commanded(decision.append_ms)
            elif decision.kind == "canary_heard":
                telemetry.canary_decided(decision.at_ms)
            self._healing.see(decision)
            self._foretelling.see(decision)
        self._pending, self._sends = [], False

    async def _tell_halt(self) -> None:
        """Say that action is halted where the pool hears it: what a rejected fact did is in the fold's state alone.

        It may be said twice, by us and by who takes over; the second time changes nothing.
        """
        if self._fold.directory.halted_by != REJECTED_BY:
            self._halt_told = False
        elif not self._halt_told:
            said = ActionHalted(author="logmend", reason="a fact was rejected; see decisions of kind fact_rejected")
            await self._log.append([Outgoing(self._topics.inbox_people, encode(said), b"")])
            self._halt_told = True

    async def _refold(self, end: int) -> None:
        """Fold everything below ``end`` again."""
        await self._restore()
        while (start := self._fold.directory.facts_offset) < end:
            records = await self._log.read(self._facts, start, end)
            if not records:
                raise InvariantError(f"{self._facts.topic}: facts from {start} on are missing")
            await self._in_turns(records, self._step)

    # --------------------------------------------------------------------------------------------------- snapshots

    async def _restore(self) -> None:
        """Take the newest snapshot that fits the logs as they are, or else begin with the first fact."""
        self._pending, self._sends = [], False
        self._past = Past()
        facts = _Bounds(*await self._log.bounds(self._facts))
        decisions = _Bounds(*await self._log.bounds(self._decisions))
        for saved in await self._newest():
            if facts.earliest <= saved.facts_offset <= facts.end and await self._adopt(saved, decisions):
                return
        if facts.earliest > 0:
            raise InvariantError(
                f"{self._facts.topic} begins at {facts.earliest} and no snapshot reaches there: run logmend restore"
            )
        self._fold = self._fold_factory(None)
        self._past, chain, position = await past_of(self._log, self._decisions, *decisions)
        if position == decisions.end:  # nothing was decided in our epoch yet
            await FactsView(self._log, self._topics, Directory()).refresh()
        self._tail = Tail(self._log, self._decisions, chain, position, decisions.end)

    async def _newest(self) -> list[Saved]:
        found = []
        for store, _ in self._snapshots:
            for data in await store.newest():
                try:
                    found.append(unpack(data))
                except InputError as error:
                    telemetry.snapshot_damaged(type(store).__name__, "newest", str(error))
        return sorted(found, key=lambda saved: -saved.facts_offset)

    async def _adopt(self, saved: Saved, decisions: _Bounds) -> bool:
        """Stand where a snapshot stands; False when it is damaged, of an older epoch or of another log.

        One of another version is raised: its log was decided by other rules, so folding it again would contradict it.
        """
        try:
            fold = self._fold_factory(saved.fold)
        except OlderEpochError:
            return False
        except OtherVersionError:
            raise
        except InputError as error:
            telemetry.snapshot_damaged("decide", f"facts offset {saved.facts_offset}", str(error))
            return False
        chain, position = Chain(), decisions.earliest
        if fold.next_seq:
            records = await self._log.read(self._decisions, saved.decisions_offset, saved.decisions_offset + 1)
            if not records or sha256_of(last := decision_of(records[0])) != fold.chain_head:
                telemetry.snapshot_damaged("decide", f"facts offset {saved.facts_offset}", "of another log")
                return False
            chain, position = Chain.at(last, saved.decisions_offset), saved.decisions_offset + 1
        self._fold = fold
        self._tail = Tail(self._log, self._decisions, chain, position, decisions.end)
        return True

    async def _keep(self) -> None:
        """Save a snapshot wherever one is due and something has changed; all of it is acknowledged.

        A place that can't take it (a full disk) gets the next one, and so does every place when the state holds an
        integer beyond 64 bits: without snapshots a restart is slower, not wrong.
        """
        now_ms, facts_offset = self._clock_ms(), self._fold.directory.facts_offset
        if facts_offset <= self._past.facts_offset:
            return
        due = [
            i
            for i, kept in enumerate(self._kept)
            if now_ms - kept.at_ms >= self._snapshots[i].every_ms and kept.facts_offset < facts_offset
        ]
        decisions_offset = self._tail.chain.offset_of(self._fold.next_seq - 1)
        if not due or (self._fold.next_seq and decisions_offset < 0):
            return
        for i in due:
            try:
                await self._snapshots[i].store.save(pack(Saved(facts_offset, decisions_offset, self._fold.snapshot())))
            except (InputError, OverflowError) as error:
                telemetry.handled("snapshot", str(error))
                self._kept[i] = _Kept(now_ms, self._kept[i].facts_offset)
            else:
                self._kept[i] = _Kept(now_ms, facts_offset)
        self._poisonous = {offset: why for offset, why in self._poisonous.items() if offset >= facts_offset}


def _encoded(decision: Decision) -> bytes:
    """Return the bytes of a decision; those that no reader would take make its fact a poisonous one."""
    try:
        return encode(decision)
    except MemoryError:
        raise
    except Exception as error:
        raise _PoisonError(f"decision {decision.id} can't be recorded") from error


def _fact_in(record: Record) -> Fact | None:
    """Return the fact in a record, None when it holds none."""
    try:
        return decode_fact(record.value or b"")
    except InputError as error:
        telemetry.handled("decide", f"fact {record.offset}: {error}")
        return None
