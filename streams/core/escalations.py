"""What is known of escalations: what each one was about, and how far people have come with it (SPEC E1)."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

ESCALATIONS_MAX: Final = 2_000
"""That can be answered. Who fixes first and answers later is heard as long as there were not so many since."""

PENDING, ACKNOWLEDGED, RESOLVED, JUDGED = "pending", "acknowledged", "resolved", "judged"
"""Nobody's yet; somebody has seen it; resolved, and whether it helped is not known; known what became of it."""


class Escalation(Struct):
    """One escalation. ``cleared`` when its incident was closed; ``resolved_*`` say when and in which decision."""

    incident: str
    service: str
    host: str
    service_type: str
    pattern: str
    category: str
    severity: str
    state: str = PENDING
    cleared: bool = False
    method: str = ""
    resolved_in: str = ""
    resolved_ms: int = 0
    """In ``now_ms``; the next in the broker's clock."""
    resolved_at_ms: int = 0


class Escalations(Struct):
    """The newest escalations by the id of their decision, in the order in which they were told."""

    known: dict[str, Escalation] = {}

    def add(self, escalation_id: str, escalation: Escalation) -> None:
        """Keep an escalation; the first whose incident is closed makes room, or the first of all."""
        self.known[escalation_id] = escalation
        if len(self.known) > ESCALATIONS_MAX:
            cleared = (one for one, found in self.known.items() if found.cleared)
            del self.known[next(cleared, next(iter(self.known)))]

    def waiting(self, escalation_id: str) -> Escalation | None:
        """Return an escalation that was resolved and of which it is not known yet whether that helped."""
        found = self.known.get(escalation_id)
        return found if found is not None and found.state == RESOLVED else None

    def clear(self, escalation_id: str) -> None:
        """Note that the incident of an escalation was closed."""
        if escalation_id in self.known:
            self.known[escalation_id].cleared = True
