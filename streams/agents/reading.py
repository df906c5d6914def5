"""The readers' rule for decisions: numbers are dense, each carries the hash of the one before, repeats are equal.

Two owners of decide may write at a time (a zombie, a slow rebalance). They compute the same bytes, so the log holds
each decision one or more times, and the first occurrences stand in order. Decide and dispatch both read through here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from streams.codec import decode_decision
from streams.core.chain import canonical, sha256_of
from streams.core.errors import InputError, InvariantError
from streams.core.events import Decision
from streams.core.fold import check_not_newer, is_own
from streams.core.past import Past
from streams.ports import Log, Record, TopicPartition

REPEATS_KEPT_MAX: Final = 10_000
"""A repeat of one of the last so many decisions is compared; older ones are for ``logmend verify``."""


class _Seen(NamedTuple):
    offset: int
    sha256: str


def decision_of(record: Record) -> Decision:
    """Return the decision in a record; ``InvariantError`` when it holds none: only decide writes there."""
    try:
        return decode_decision(record.value or b"")
    except InputError as error:
        raise InvariantError(f"{record.topic} offset {record.offset}: {error}") from error


class Chain:
    """Where a reader stands: the next number, and the hash that its decision must carry."""

    def __init__(self, next_seq: int = 0, head: str = "") -> None:
        self.next_seq = next_seq
        self.head = head
        self._seen: dict[int, _Seen] = {}

    @classmethod
    def at(cls, decision: Decision, offset: int) -> Chain:
        """Return a chain that begins with a decision that was accepted before."""
        chain = cls(decision.seq, decision.previous_sha256)
        chain.take(decision, offset)
        return chain

    def take(self, decision: Decision, offset: int) -> bool:
        """Take the decision at ``offset`` into account; False for a repeat.

        Raises ``InvariantError`` at a hole, at another chain, and at a repeat with other bytes.
        """
        digest = sha256_of(decision)
        if decision.seq < self.next_seq:
            seen = self._seen.get(decision.seq)
            if seen is not None and seen.sha256 != digest:
                raise InvariantError(f"decision {decision.seq} at offset {offset} differs from that at {seen.offset}")
            return False
        if decision.seq != self.next_seq:
            raise InvariantError(f"decision {decision.seq} at offset {offset} follows {self.next_seq - 1}")
        if decision.previous_sha256 != self.head:
            raise InvariantError(f"decision {decision.seq} at offset {offset} does not continue the chain")
        self.next_seq, self.head = decision.seq + 1, digest
        self._seen[decision.seq] = _Seen(offset, digest)
        self._seen.pop(decision.seq - REPEATS_KEPT_MAX, None)
        return True

    def offset_of(self, seq: int) -> int:
        """Return the offset at which a decision was first seen, -1 when that is not remembered."""
        seen = self._seen.get(seq)
        return seen.offset if seen else -1


async def past_of(log: Log, where: TopicPartition, start: int, end: int) -> tuple[Past, Chain, int]:
    """Return what older epochs decided, the chain behind it, and the offset of the first decision of our epoch.

    Raises ``InvariantError`` at a hole, ``OtherEpochError`` when a newer epoch has decided already.
    """
    past, chain = Past(), Chain()
    while start < end and (records := await log.read(where, start, end)):
        for record in records:
            decision = decision_of(record)
            check_not_newer(decision.epoch)
            if is_own(decision.epoch):
                return past, chain, record.offset
            if chain.take(decision, record.offset):
                past.take(decision)
        start = records[-1].offset + 1
    return past, chain, max(start, end)


class Tail:
    """What the log of decisions holds beyond what the fold has produced; read a fetch at a time, compared in step.

    ``position`` and ``end`` bound what has not been read yet. In steady state both stand behind our last append, and
    nothing is read at all; an acknowledged offset beyond them shows that another owner writes too.
    """

    def __init__(self, log: Log, where: TopicPartition, chain: Chain, position: int, end: int) -> None:
        self.chain = chain
        self._log = log
        self._where = where
        self._position = position
        self._end = end
        self._produced_seq = chain.next_seq
        self._ahead: deque[Decision] = deque()

    async def peek(self) -> Decision | None:
        """Return the recorded decision that the fold must produce next; None when the log has no more."""
        while not self._ahead and self._position < self._end:
            await self._fetch()
        return self._ahead[0] if self._ahead else None

    async def holds(self, decision: Decision) -> bool:
        """Tell whether the log has the decision that the fold produced; ``InvariantError`` when it has another one."""
        recorded = await self.peek()
        self._produced_seq = decision.seq + 1
        if recorded is None:
            return False
        if canonical(recorded) != canonical(decision):
            raise InvariantError(f"the log's decision {recorded.seq} ({recorded.id}) is not what its facts give")
        self._ahead.popleft()
        return True

    async def appended(self, decisions: Sequence[Decision], offsets: Sequence[int]) -> None:
        """Note the fold's own decisions as acknowledged; read what another owner has put between them."""
        if list(offsets) == list(range(self._position, self._position + len(decisions))):
            for decision, offset in zip(decisions, offsets, strict=True):
                self.chain.take(decision, offset)
            self._position = self._end = self._position + len(decisions)
            return
        self._end = max(offsets) + 1 if min(offsets) >= 0 else (await self._log.bounds(self._where))[1]
        while self._position < self._end:
            await self._fetch()
        if self.chain.next_seq < self._produced_seq:
            raise InvariantError(f"decision {self.chain.next_seq} was acknowledged and is not in the log")

    async def _fetch(self) -> None:
        records = await self._log.read(self._where, self._position, self._end)
        for record in records:
            decision = decision_of(record)
            if self.chain.take(decision, record.offset) and decision.seq >= self._produced_seq:
                self._ahead.append(decision)
        self._position = records[-1].offset + 1 if records else self._end
