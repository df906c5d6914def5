"""What became of each fault: a story pieced together from the injection, the decisions and the ground truth."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from streams.core.events import Decision


class Course(Struct, frozen=True, kw_only=True):
    """What became of one fault, for reports: seconds after the injection, None where it never came to that.

    ``seen`` is what was seen of it, in order.
    """

    seen: tuple[str, ...]
    actions: tuple[str, ...]
    detected_seconds: float | None
    decided_seconds: float | None
    recovered_seconds: float | None
    verified_seconds: float | None


class Story(Struct, kw_only=True):
    """One injected fault and what followed. Times are milliseconds since 1970 UTC; 0 = not (yet).

    ``recovered_ms`` is the ground truth: the service was used and worked. ``verified_ms`` is what the event log says.
    ``seen`` are all patterns, in order; ``pattern`` is the one that was decided on. ``note`` is for people: why it did
    not go as it should. The incident may be merged into that of a dependency, and is followed there.
    """

    fault: str
    service: str
    run: int = 1
    stand_in: str = ""
    injected_ms: int = 0
    incident: str = ""
    pattern: str = ""
    seen: list[str] = []
    detected_ms: int = 0
    decided_ms: int = 0
    actions: list[str] = []
    recovered_ms: int = 0
    verified_ms: int = 0
    escalated: bool = False
    """A person was asked for."""
    stayed_broken: bool = False
    over: bool = False
    """The verdict is there; what is decided later belongs to another fault."""
    note: str = ""

    @property
    def healed(self) -> bool:
        """The ground truth and the event log agree that it was healed, and that it was no sooner than an action."""
        return bool(self.verified_ms) and self.recovered_ms >= self.decided_ms > 0

    def hear(self, decision: Decision) -> None:
        """Take a decision into account, if it is about this fault's incident and came after the injection."""
        if self.over or not self.injected_ms or decision.append_ms < self.injected_ms:
            return
        if not self.incident and (pattern := self._seen_as(decision)):
            self.incident, self.detected_ms, self.pattern = decision.incident, decision.append_ms, pattern
        if decision.incident != self.incident:
            return
        self._see(decision)
        if decision.kind == "commanded" and decision.command is not None:
            self.decided_ms = self.decided_ms or decision.append_ms
            self.pattern = decision.pattern
            self.actions.append(decision.command.action)
        elif decision.kind == "incident_merged":
            self.incident = decision.refers_to
        elif decision.kind == "verified":
            self.verified_ms = decision.append_ms
        elif decision.kind in {"escalated", "unverified"}:
            self.escalated = self.escalated or decision.kind == "escalated"
            self.note = f"{decision.kind}: {decision.reason}"

    def _see(self, decision: Decision) -> None:
        """Keep each pattern that leads the incident or joins it, once."""
        pattern = decision.reason.rpartition(" ")[2] if decision.kind == "symptom_joined" else decision.pattern
        if pattern and pattern not in self.seen:
            self.seen.append(pattern)

    def _seen_as(self, decision: Decision) -> str:
        """Return the pattern that a decision says was seen on the fault's service; ``""`` when it says nothing new."""
        if decision.kind == "incident_opened" and decision.service == self.service:
            return decision.pattern
        if decision.kind == "symptom_joined" and decision.reason.startswith(f"{self.service} "):
            return decision.reason.partition(" ")[2]
        return ""

    def seconds(self, moment_ms: int) -> float | None:
        """Return how long after the injection a moment was, in seconds; None when it never came."""
        return round((moment_ms - self.injected_ms) / 1000, 1) if moment_ms else None

    def course(self) -> dict[str, Any]:
        """Return the fields of ``Course``."""
        return {
            "seen": tuple(self.seen),
            "actions": tuple(self.actions),
            "detected_seconds": self.seconds(self.detected_ms),
            "decided_seconds": self.seconds(self.decided_ms),
            "recovered_seconds": self.seconds(self.recovered_ms),
            "verified_seconds": self.seconds(self.verified_ms),
        }
