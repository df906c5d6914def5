"""What releases of older epochs decided, as far as the newer one must know it to go on behind it."""

from __future__ import annotations

from msgspec import Struct

from streams.core.chain import sha256_of
from streams.core.errors import InvariantError
from streams.core.events import Decision
from streams.core.kinds import SENDING_KINDS


class Past(Struct):
    """What releases of older epochs decided. Give it their decisions in order, each once.

    ``facts_offset`` is the last fact that they decided something on, -1 when there is none; ``next_seq``, ``head`` and
    ``last_command_seq`` are where their chain ends; ``rejected`` has the facts that they rejected, and why.
    """

    facts_offset: int = -1
    next_seq: int = 0
    head: str = ""
    last_command_seq: int = -1
    ends: dict[int, int] = {}
    """The last fact of each epoch."""
    rejected: dict[int, str] = {}

    def take(self, decision: Decision) -> None:
        """Take the next decision; ``InvariantError`` when one is missing before it."""
        if (decision.seq, decision.previous_sha256) != (self.next_seq, self.head):
            raise InvariantError(f"decision {decision.seq} does not continue the chain after {self.next_seq - 1}")
        self.facts_offset = self.ends[decision.epoch] = decision.facts_offset
        self.next_seq, self.head = decision.seq + 1, sha256_of(decision)
        if decision.kind in SENDING_KINDS:
            self.last_command_seq = decision.seq
        if decision.kind == "fact_rejected":
            self.rejected[decision.facts_offset] = decision.reason

    def epoch_at(self, offset: int) -> int:
        """Return the epoch in which a fact of the past was decided on: its decisions have that in their ids."""
        return next(epoch for epoch, last in self.ends.items() if offset <= last)
