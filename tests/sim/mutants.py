"""Engines with one safeguard taken out. Each must be caught: a simulator that can't see them would prove nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from analytics.manifest import Stream
from analytics.writer import EventLogWriter
from streams.agents.decide import DecideEngine
from streams.agents.detect import DetectEngine
from streams.agents.dispatch import DECISIONS_OFFSET, DispatchEngine
from streams.codec import decode_fact, encode
from streams.core.events import Decision, Slice
from streams.core.kinds import SENDING_KINDS
from streams.ports import Outgoing, Record, TopicPartition
from streams.topics import Topics
from tests.sim.broker import Broker, BrokerError, SimLog
from tests.sim.kernel import Call, Process, Reply
from tests.sim.play import Engines
from tests.sim.scene import TOPICS


class Hasty(SimLog):
    """A log that does not wait for the acknowledgement of some appends."""

    def __init__(self, broker: Broker, skips: Callable[[Outgoing], bool]) -> None:
        super().__init__(broker)
        self._skips = skips

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Send records; guess the offsets that they will get."""
        if not self._skips(records[0]):
            return await super().append(records)
        first = self.broker[TopicPartition(records[0].topic, 0)].end
        await Call(partial(self._send, records))
        return list(range(first, first + len(records)))

    def _send(self, records: Sequence[Outgoing], process: Process, reply: Reply) -> None:
        self.broker.begin_append(records, process, lambda _delay_ms, _value: None)
        reply(0, None)


def _to(*topics: str) -> Callable[[Outgoing], bool]:
    return lambda out: out.topic in topics


def _is_slice(out: Outgoing) -> bool:
    return out.topic == TOPICS.facts and isinstance(decode_fact(out.value or b""), Slice)


class DetectWithoutSliceAck(DetectEngine):
    """Goes on before its slices are acknowledged."""

    def __init__(self, log: SimLog, topics: Topics, *rest: object) -> None:
        super().__init__(Hasty(log.broker, _is_slice), topics, *rest)  # type: ignore[arg-type] # passed on as given


class DetectWithoutEvidenceAck(DetectEngine):
    """Appends slices before their evidence is acknowledged."""

    def __init__(self, log: SimLog, topics: Topics, *rest: object) -> None:
        super().__init__(Hasty(log.broker, _to(topics.evidence, topics.dlq)), topics, *rest)  # type: ignore[arg-type] # as above


class DetectWithoutReadBack(DetectEngine):
    """Takes a term and believes the position that it read before."""

    async def _take(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        took = [self._took(where, self._nonce()) for where in partitions]
        key = [f"{one.source}/{one.partition}".encode() for one in took]
        out = [Outgoing(self._topics.facts, encode(one), name) for one, name in zip(took, key, strict=True)]
        await self._log.append(out)
        return {where: one.term for where, one in zip(partitions, took, strict=True)}


class DecideWithoutAck(DecideEngine):
    """Goes on, and takes snapshots, before its decisions are acknowledged."""

    def __init__(self, log: SimLog, topics: Topics, *rest: object) -> None:
        super().__init__(Hasty(log.broker, _to(topics.decisions)), topics, *rest)  # type: ignore[arg-type] # as above


class DecideThatDispatches(DecideEngine):
    """Sends commands before their decisions are durable."""

    async def _flush(self) -> None:
        end = (await self._log.bounds(self._decisions))[1]
        decisions = [one.decision for one in self._pending]
        out = [self._command(one, end + n) for n, one in enumerate(decisions) if one.kind in SENDING_KINDS]
        if out:
            await self._log.append(out)
        await super()._flush()

    def _command(self, decision: Decision, offset: int) -> Outgoing:
        if decision.command is None:
            raise ValueError("no command")
        header = (DECISIONS_OFFSET, str(offset).encode())
        return Outgoing(self._topics.commands, encode(decision.command), decision.host.encode(), 0, (header,))


class DispatchWithoutAck(DispatchEngine):
    """Goes on before its commands are acknowledged."""

    def __init__(self, log: SimLog, topics: Topics) -> None:
        super().__init__(Hasty(log.broker, _to(topics.commands)), topics)


class DispatchFromTheEnd(DispatchEngine):
    """Begins with the decisions that come, instead of going on after the last command."""

    async def load(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Begin at the end."""
        await super().load(partitions)
        end = (await self._log.bounds(self._decisions))[1]
        return dict.fromkeys(partitions, end)

    def _sending(self, record: Record) -> object:  # type: ignore[override] # same, without the proof
        self._unknown = True
        return super()._sending(record)


class DetectThatSwallows(DetectEngine):
    """Goes on when an append has failed, as though it had not."""

    def __init__(self, log: SimLog, topics: Topics, *rest: object) -> None:
        super().__init__(Swallowing(log.broker), topics, *rest)  # type: ignore[arg-type] # as above


class Swallowing(SimLog):
    """A log that says that an append is there when nobody knows."""

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Append, or not."""
        try:
            return await super().append(records)
        except BrokerError:
            return [-1] * len(records)


class DetectThatLosesSilently(DetectEngine):
    """Goes on behind what retention deleted, without a word."""

    async def _start(self, where: TopicPartition, term: int) -> int:
        earliest, _ = await self._log.bounds(where)
        return max(earliest, await super()._start(where, term)) if earliest == 0 else earliest


class DetectThatBeginsAnew(DetectEngine):
    """Reads a topic that was made anew from its start, without being told to."""

    async def _start(self, where: TopicPartition, term: int) -> int:
        earliest, end = await self._log.bounds(where)
        return earliest if end < self._facts.holding(where).to_offset else await super()._start(where, term)


class DetectThatRejectsMore(DetectEngine):
    """Rejects all records of a batch of which one can't be sliced."""

    def _slice(self, where: TopicPartition, records: Sequence[Record], position: int, work: Any) -> None:
        try:
            self._slicer.cut(*where, 1, records, position)
        except ZeroDivisionError as error:
            for record in records:
                self._reject(where, record, position, type(error).__name__, work)
                position = record.offset + 1
            return
        super()._slice(where, records, position, work)


class DecideWithADirtyFold(DecideEngine):
    """Goes on with the fold that failed half-way on a fact."""

    async def _refold(self, end: int) -> None:
        self._fold.directory.facts_offset = end - 1
        for record in await self._log.read(self._facts, end - 1, end):
            await self._step(record)


class DecideByTheWall(DecideEngine):
    """Takes the host's clock for one that never goes back."""

    def __init__(self, log: SimLog, *rest: object) -> None:
        super().__init__(log, *rest[:-1], lambda: log.broker.host_ms)  # type: ignore[arg-type,call-arg] # as above


class WriterThatWaits(EventLogWriter):
    """Takes a clock that was set back for one that says that nothing is due."""

    def _is_due(self, waiting: dict[str, int]) -> bool:
        before = self._pending_since_ms
        due = super()._is_due(waiting)
        return due and (before is None or self._clock_ms() >= before)


class WriterThatSwallows(EventLogWriter):
    """Takes a segment for archived that the disk did not take."""

    def _commit(self, name: str, stream: Stream, *rest: Any) -> None:
        try:
            super()._commit(name, stream, *rest)
        except OSError:
            manifest = self._store.manifest
            self._store.manifest = msgspec.structs.replace(manifest, streams={**manifest.streams, name: stream})
            self._dirty = False


class Mutant(NamedTuple):
    """Engines without one safeguard, and the faults of the menu that show it; all of them when none is named."""

    engines: Engines
    only: tuple[str, ...] | None = None


MUTANTS: Final = {
    "detect-slice-ack": Mutant(Engines(detect=DetectWithoutSliceAck)),
    "detect-evidence-ack": Mutant(Engines(detect=DetectWithoutEvidenceAck)),
    "detect-read-back": Mutant(Engines(detect=DetectWithoutReadBack), ("come and go", "stale", "slow", "splits")),
    "detect-swallows": Mutant(Engines(detect=DetectThatSwallows), ("restart",)),
    "detect-loses": Mutant(Engines(detect=DetectThatLosesSilently), ("outage",)),
    "detect-begins-anew": Mutant(Engines(detect=DetectThatBeginsAnew), ("anew", "kills")),
    "detect-rejects-more": Mutant(Engines(detect=DetectThatRejectsMore), ("poison",)),
    "detect-unwary": Mutant(Engines(wary=False), ("deadly",)),
    "decide-ack": Mutant(Engines(decide=DecideWithoutAck)),
    "decide-dispatches": Mutant(Engines(decide=DecideThatDispatches)),
    "decide-dirty-fold": Mutant(Engines(decide=DecideWithADirtyFold), ("poison",)),
    "decide-by-the-wall": Mutant(Engines(decide=DecideByTheWall), ("hours",)),
    "dispatch-ack": Mutant(Engines(dispatch=DispatchWithoutAck)),
    "dispatch-resume": Mutant(Engines(dispatch=DispatchFromTheEnd)),
    "writer-waits": Mutant(Engines(writer=WriterThatWaits), ("archive", "hours")),
    "writer-swallows": Mutant(Engines(writer=WriterThatSwallows), ("archive", "disk")),
}
