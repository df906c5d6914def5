"""The readers' rule: which slices of which source partition count.

A slice is accepted iff its term is that of the latest ``Took`` before it and it begins where the last accepted one
ended. Lower terms (zombies) and repeats are dropped; a hole stops the reader. Decide, the event-log writer, verify and
replay all read facts through this one class, so they cannot disagree about what happened.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from streams.core.errors import InvariantError
from streams.core.events import Fact, LinesLost, Slice, Took


class Verdict(Enum):
    """What a reader does with a fact."""

    ACCEPTED = "accepted"
    ZOMBIE = "zombie"
    """Its term is over: somebody else took the partition before this was appended."""
    REPEATED = "repeated"
    """It lies wholly below what is accounted for already."""


class Holding(Struct, array_like=True):
    """What is known of one source partition: the current term and the first offset not accounted for.

    ``to_offset`` is -1 until the first slice of the partition, which may begin anywhere.
    """

    term: int = 0
    nonce: str = ""
    to_offset: int = -1


class Ledger(Struct):
    """Terms and positions of all source partitions, keyed ``source/partition``."""

    holdings: dict[str, Holding] = {}

    def holding(self, source: str, partition: int) -> Holding:
        """Return the holding of a source partition; a new one (term 0, no position) when it was never seen."""
        return self.holdings.get(f"{source}/{partition}", Holding())

    def judge(self, fact: Fact) -> Verdict:
        """Take a fact into account and say whether it counts.

        Raises ``InvariantError`` at a hole: an accepted term that skips offsets nobody accounted for.
        """
        if isinstance(fact, Took):
            return self._took(fact)
        if isinstance(fact, (Slice, LinesLost)):
            return self._range(fact)
        return Verdict.ACCEPTED

    def _entry(self, source: str, partition: int) -> Holding:
        return self.holdings.setdefault(f"{source}/{partition}", Holding())

    def _took(self, took: Took) -> Verdict:
        """Judge a Took: a term is valid iff it is the next one; of two that race for it, the first in the log wins."""
        entry = self._entry(took.source, took.partition)
        if took.term <= entry.term:
            return Verdict.ZOMBIE
        if took.term != entry.term + 1:
            raise InvariantError(
                f"{took.source}/{took.partition}: term {took.term} follows {entry.term}: facts are missing"
            )
        entry.term, entry.nonce = took.term, took.nonce
        return Verdict.ACCEPTED

    def _range(self, fact: Slice | LinesLost) -> Verdict:
        entry = self._entry(fact.source, fact.partition)
        if fact.term < entry.term:
            return Verdict.ZOMBIE
        if fact.term > entry.term:
            raise InvariantError(f"{fact.source}/{fact.partition}: term {fact.term} was never taken")
        if isinstance(fact, LinesLost) and fact.to_offset < fact.from_offset == entry.to_offset:
            entry.to_offset = fact.to_offset  # a person accepted that the source was made anew
            return Verdict.ACCEPTED
        if entry.to_offset >= 0 and fact.to_offset <= entry.to_offset:
            return Verdict.REPEATED
        if entry.to_offset >= 0 and fact.from_offset != entry.to_offset:
            raise InvariantError(
                f"{fact.source}/{fact.partition}: [{fact.from_offset}, {fact.to_offset}) follows {entry.to_offset}"
            )
        entry.to_offset = fact.to_offset
        return Verdict.ACCEPTED
