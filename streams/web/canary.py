"""Whether what is detected is decided on: each of the canary's lines that comes in must become a decision."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from streams.core.canary import SERVICE
from streams.core.events import Decision, Slice

ANSWER_MS: Final = 60_000
"""How long a decision may take, as the alert has it; decide answers one line of those that come sooner than that."""


class Canary(Struct):
    """The lines, by the offsets and stamps of their facts; ``asked_ms`` is 0 while none waits for its decision."""

    asked_offset: int = -1
    asked_ms: int = 0
    heard_offset: int = -1
    heard_ms: int = 0

    def asked(self, fact: Slice, offset: int, stamp_ms: int) -> None:
        """Take a fact into account."""
        if self.asked_ms or offset <= self.heard_offset or stamp_ms - self.heard_ms < ANSWER_MS:
            return
        if any(one.service == SERVICE for one in fact.detections):
            self.asked_offset, self.asked_ms = offset, stamp_ms

    def heard(self, decision: Decision) -> None:
        """Take a decision of kind ``canary_heard`` into account."""
        self.heard_offset, self.heard_ms = decision.facts_offset, decision.append_ms
        if self.heard_offset >= self.asked_offset:
            self.asked_ms = 0

    def is_missed(self, now_ms: int) -> bool:
        """Say whether a line waits for its decision for too long."""
        return bool(self.asked_ms) and now_ms - self.asked_ms > ANSWER_MS
