"""Engines with one wait taken out. Each must be caught: a simulator that can't see them would prove nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from streams.agents.decide import DecideEngine
from streams.agents.detect import DetectEngine
from streams.agents.dispatch import DECISIONS_OFFSET, DispatchEngine
from streams.codec import decode_fact, encode
from streams.core.events import Decision, Slice
from streams.core.kinds import SENDING_KINDS
from streams.ports import Outgoing, Record, TopicPartition
from streams.topics import Topics
from tests.sim.broker import Broker, SimLog
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


MUTANTS: Final = {
    "detect-slice-ack": Engines(detect=DetectWithoutSliceAck),
    "detect-evidence-ack": Engines(detect=DetectWithoutEvidenceAck),
    "detect-read-back": Engines(detect=DetectWithoutReadBack),
    "decide-ack": Engines(decide=DecideWithoutAck),
    "decide-dispatches": Engines(decide=DecideThatDispatches),
    "dispatch-ack": Engines(dispatch=DispatchWithoutAck),
    "dispatch-resume": Engines(dispatch=DispatchFromTheEnd),
}
