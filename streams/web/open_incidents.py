"""Open incidents, what waits for approval, and what people are needed for: folded from decisions as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct, field

from streams.core.choosing import worth_doing
from streams.core.events import Command, Decision
from streams.core.requests import BY_HAND
from streams.web.bounded import put
from streams.web.states import Approval, Escalation, Healing, Incident, Vote

INCIDENTS_MAX: Final = 5_000
ESCALATIONS_MAX: Final = 2_000
APPROVALS_MAX: Final = 2_000
HEALINGS_MAX: Final = 500
VOTES_MAX: Final = 16
"""Of each the newest so many are held; the event log has all."""

STATUS_AFTER: Final[Mapping[str, str]] = {
    "incident_opened": "open",
    "planned": "planning",
    "synchronised": "open",
    "commanded": "acting",
    "withheld": "open",
    "approval_requested": "waiting",
    "approval_denied": "escalated",
    "verification_failed": "open",
    "command_overdue": "open",
    "escalated": "escalated",
}
"""As the view ``incidents`` has it, without what closes one."""
ENDING: Final = frozenset({"incident_closed", "incident_merged"})
DONE_WELL: Final = "done ok"
IN_VAIN: Final = frozenset({"failed", "came_back"})


class Cases(Struct):
    """What is open, by id; each has a limit, and the oldest goes first."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    escalations: dict[str, Escalation] = field(default_factory=dict)
    approvals: dict[str, Approval] = field(default_factory=dict)
    healings: dict[str, Healing] = field(default_factory=dict)
    votes: dict[str, tuple[Vote, ...]] = field(default_factory=dict)
    """By incident."""
    escalated: dict[str, str] = field(default_factory=dict)
    """Incident to its escalation."""
    verdicts: dict[str, Decision] = field(default_factory=dict)
    """By incident: the last ``advice_settled``."""
    weighed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By incident: the actions of the last choice that no gate bars and that are worth their risk, the best first."""
    answered: dict[str, str] = field(default_factory=dict)
    """What came of approvals that were asked for, by the id of the request."""

    def take(self, decision: Decision, approval_ttl_ms: int, of_fold: Callable[[int], int]) -> set[str]:
        """Take a decision into account; return the names of what it changed (fields of this struct)."""
        changed: set[str] = set()
        if decision.incident:
            self._incident(decision)
            self._weigh(decision)
            changed.add("incidents")
        if decision.kind == "approval_requested" and decision.command is not None:
            expires_ms = of_fold(decision.now_ms + approval_ttl_ms)
            put(self.approvals, decision.id, _approval(decision, decision.command, expires_ms), APPROVALS_MAX)
            changed.add("approvals")
        elif decision.refers_to in self.approvals:
            self._answered(decision.refers_to, f"{decision.kind}: {decision.reason}")
            changed.add("approvals")
        if self._escalation(decision):
            changed.add("escalations")
        if self._healing(decision):
            changed.add("healings")
        if decision.incident and decision.kind in ENDING:
            self._close(decision)
            changed |= {"approvals", "escalations"}
        return changed

    def _answered(self, approval_id: str, became: str) -> None:
        del self.approvals[approval_id]
        put(self.answered, approval_id, became, APPROVALS_MAX)

    def _incident(self, decision: Decision) -> None:
        known = self.incidents.get(decision.incident)
        if decision.kind == "incident_opened":
            put(self.incidents, decision.incident, _opened(decision), INCIDENTS_MAX)
        elif known is not None:
            self.incidents[decision.incident] = _later(known, decision)

    def _weigh(self, decision: Decision) -> None:
        if worth := worth_doing(decision.options):
            put(self.weighed, decision.incident, tuple(one.action for one in worth), INCIDENTS_MAX)

    def _escalation(self, decision: Decision) -> bool:
        match decision.kind:
            case "advised":
                said = self.votes.get(decision.incident, ())
                put(self.votes, decision.incident, (*said, _vote(decision))[-VOTES_MAX:], INCIDENTS_MAX)
                return False
            case "advice_settled":
                put(self.verdicts, decision.incident, decision, INCIDENTS_MAX)
                return False
            case "escalated":
                put(self.escalations, decision.id, self._escalated(decision), ESCALATIONS_MAX)
                put(self.escalated, decision.incident, decision.id, INCIDENTS_MAX)
                return True
        known = self.escalations.get(decision.refers_to)
        if known is None or not decision.kind.startswith("escalation_"):
            return False
        self.escalations[known.decision_id] = _answered(known, decision)
        return True

    def _escalated(self, decision: Decision) -> Escalation:
        incident = self.incidents.get(decision.incident)
        verdict = self.verdicts.get(decision.incident)
        return Escalation(
            id=decision.seq,
            decision_id=decision.id,
            incident=decision.incident,
            service=decision.service,
            host=decision.host,
            pattern=decision.pattern,
            category=decision.category,
            severity=decision.severity,
            reason=decision.reason,
            status="pending",
            assigned_to="",
            notes=0,
            resolution_method="",
            attempts=incident.attempts if incident else 0,
            votes=self.votes.get(decision.incident, ()),
            consensus=verdict.reason if verdict else "",
            confidence=verdict.confidence if verdict else None,
            recommended_action=self._recommended(decision.incident),
            silenced_by=decision.refers_to,
            created_ms=decision.append_ms,
            latest_ms=decision.append_ms,
            resolved_ms=0,
        )

    def _recommended(self, incident: str) -> str:
        """Return what was agreed on, else what is best by the rules, of what was not tried in vain; else: by hand."""
        vain = {one.action for one in self.healings.values() if one.incident == incident and one.status in IN_VAIN}
        agreed = _settled(self.verdicts.get(incident))
        known = (agreed, *self.weighed.get(incident, ()))
        return next((action for action in known if action and action not in vain), BY_HAND)

    def _healing(self, decision: Decision) -> bool:
        if decision.kind == "commanded" and decision.command is not None:
            put(self.healings, decision.id, _sent(decision), HEALINGS_MAX)
            return True
        known = self.healings.get(decision.refers_to)
        status = _healed_as(decision)
        if known is None or not status:
            return False
        code = decision.reason if decision.kind == "command_ended" else known.code
        self.healings[known.id] = msgspec.structs.replace(known, status=status, code=code)
        return True

    def _close(self, decision: Decision) -> None:
        incident = decision.incident
        for table in (self.incidents, self.votes, self.verdicts, self.weighed):
            table.pop(incident, None)
        for approval in [one.id for one in self.approvals.values() if one.incident == incident]:
            self._answered(approval, f"{decision.kind}: {decision.reason}")
        known = self.escalations.get(self.escalated.pop(incident, ""))
        if known is not None and known.status in {"pending", "acknowledged"}:
            closed = msgspec.structs.replace(
                known, status="auto_resolved", resolved_ms=decision.append_ms, latest_ms=decision.append_ms
            )
            self.escalations[known.decision_id] = closed


def figure(decision: Decision, name: str, default: float = 0.0) -> float:
    """Return a figure of a decision."""
    return next((one.value for one in decision.figures if one.name == name), default)


def _opened(decision: Decision) -> Incident:
    return Incident(
        id=decision.incident,
        seq=decision.seq,
        service=decision.service,
        host=decision.host,
        pattern=decision.pattern,
        category=decision.category,
        severity=decision.severity,
        status="open",
        phase=1,
        attempts=0,
        lines=decision.count,
        strategy="",
        action="",
        reason=decision.reason,
        opened_ms=decision.append_ms,
        latest_ms=decision.append_ms,
    )


def _later(known: Incident, decision: Decision) -> Incident:
    """Return an incident after one more decision on it."""
    status = STATUS_AFTER.get(decision.kind, known.status)
    if decision.kind == "command_ended" and decision.strategy:
        status = "verifying" if decision.reason.startswith(DONE_WELL) else "open"
    acted = decision.command if decision.kind in {"commanded", "approval_requested"} else None
    return msgspec.structs.replace(
        known,
        pattern=decision.pattern or known.pattern,
        category=decision.category or known.category,
        severity=decision.severity or known.severity,
        status=status,
        phase=max(known.phase, round(figure(decision, "phase"))),
        attempts=known.attempts + (decision.kind == "commanded"),
        lines=max(known.lines, decision.count),
        strategy=acted.strategy if acted else known.strategy,
        action=acted.action if acted else known.action,
        reason=f"{decision.kind}: {decision.reason}" if decision.reason else decision.kind,
        latest_ms=decision.append_ms,
    )


def _approval(decision: Decision, command: Command, expires_ms: int) -> Approval:
    return Approval(
        id=decision.id,
        incident=decision.incident,
        service=command.service,
        host=command.host,
        pattern=decision.pattern,
        severity=decision.severity,
        strategy=command.strategy,
        action=command.action,
        arguments=tuple((one.name, one.value) for one in command.arguments),
        command_sha256=command.sha256,
        confidence=decision.confidence,
        risk=figure(decision, "risk"),
        figures=tuple((one.name, one.value) for one in decision.figures),
        reason=decision.reason,
        requested_ms=decision.append_ms,
        expires_ms=expires_ms,
    )


def _sent(decision: Decision) -> Healing:
    command = decision.command
    return Healing(
        id=decision.id,
        incident=decision.incident,
        service=decision.service,
        host=decision.host,
        action=command.action if command else "",
        status="sent",
        code="",
        at_ms=decision.append_ms,
    )


_HEALED_AS: Final[Mapping[str, str]] = {
    "verified": "healed",
    "verification_failed": "came_back",
    "unverified": "unverified",
    "command_overdue": "failed",
}


def _healed_as(decision: Decision) -> str:
    if decision.kind == "command_ended":
        return "done" if decision.reason.startswith(DONE_WELL) else "failed"
    return _HEALED_AS.get(decision.kind, "")


def _vote(decision: Decision) -> Vote:
    """Return what ``advised`` records: its reason is ``<advisor>: <action>`` or ``<advisor>: abstained, <code>``."""
    advisor, _, said = decision.reason.partition(": ")
    abstained = said.startswith("abstained")
    return Vote(advisor=advisor, vote="" if abstained else said, confidence=decision.confidence, reason=said)


def _settled(verdict: Decision | None) -> str:
    """Return the action that advisors settled on; the reason is ``<n> of <m>: <action>``."""
    return verdict.reason.partition(": ")[2] if verdict else ""


_STATUS_AFTER_STEP: Final[Mapping[str, str]] = {
    "escalation_acknowledged": "acknowledged",
    "escalation_assigned": "acknowledged",
    "escalation_resolved": "resolved",
}


def _answered(known: Escalation, decision: Decision) -> Escalation:
    """Return an escalation after a person's step."""
    resolved = decision.kind == "escalation_resolved"
    return msgspec.structs.replace(
        known,
        status=_STATUS_AFTER_STEP.get(decision.kind, known.status),
        assigned_to=decision.reason if decision.kind == "escalation_assigned" else known.assigned_to,
        notes=known.notes + (decision.kind == "escalation_noted"),
        resolution_method=decision.reason if resolved else known.resolution_method,
        resolved_ms=decision.append_ms if resolved else known.resolved_ms,
        latest_ms=decision.append_ms,
    )
