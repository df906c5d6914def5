"""What is known of open incidents, folded from decisions: the context of a notice, and when there is one.

Nobody is told of what is silenced: such an escalation names its silence (``refers_to``), such a request has a gate of
that name. An escalation that nobody was told of has no follow-up either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from streams.core.choosing import worth_doing
from streams.core.events import Decision
from streams.core.requests import BY_HAND
from streams.notify.notice import APPROVALS, Kind, Notice, Tried, Vote

CASES_MAX: Final = 5_000
TRIED_MAX: Final = 20
VOTES_MAX: Final = 16
ENDING: Final = frozenset({"incident_closed", "incident_merged"})
OUTCOMES: Final[Mapping[str, str]] = {
    "verified": "it helped",
    "verification_failed": "the symptom came back",
    "unverified": "quiet after it, but nothing positive was seen",
    "command_overdue": "no outcome in time",
}
ENDED: Final = "ended: "
IN_VAIN: Final = (OUTCOMES["verification_failed"], OUTCOMES["command_overdue"], f"{ENDED}done failed")


class Case(Struct, kw_only=True):
    """An open incident. ``escalation`` and ``approval``: what people were told of that is not over, ``""`` for none."""

    incident: str
    service: str
    host: str
    pattern: str
    category: str
    severity: str
    opened_ms: int
    phase: int = 1
    lines: int = 0
    tried: tuple[Tried, ...] = ()
    votes: tuple[Vote, ...] = ()
    consensus: str = ""
    confidence: float | None = None
    agreed: str = ""
    """The action that advisors agreed on last."""
    worth: tuple[str, ...] = ()
    """The actions that are worth it by the rules, the best first."""
    escalation: str = ""
    number: int = 0
    approval: str = ""
    approval_number: int = 0

    @property
    def recommended(self) -> str:
        """What was agreed on, else what is best by the rules, of what was not tried in vain; else to do it by hand."""
        vain = {one.action for one in self.tried if one.outcome.startswith(IN_VAIN)}
        return next((one for one in (self.agreed, *self.worth) if one and one not in vain), BY_HAND)


class Cases:
    """The open incidents by id. What ``changed`` since it was last asked is kept by whoever asks."""

    def __init__(self, known: Iterable[Case] = ()) -> None:
        self._known = {case.incident: case for case in known}
        self._changed: set[str] = set()

    def take(self, decision: Decision) -> Notice | None:
        """Take the next decision into account; return what people are told of it."""
        if not decision.incident:
            return None
        case = self._case(decision)
        _learn(case, decision)
        told = _told(case, decision)
        self._changed.add(case.incident)
        if decision.kind in ENDING:
            del self._known[case.incident]
        return told

    def waits(self, notice: Notice) -> bool:
        """Say whether what a notice asks for is still wanted."""
        case = self._known.get(notice.incident)
        return case is not None and notice.id in {case.escalation, case.approval}

    def changed(self) -> dict[str, Case | None]:
        """Return the cases that changed since this was asked last; None for those that are over."""
        changed, self._changed = self._changed, set()
        return {incident: self._known.get(incident) for incident in changed}

    def _case(self, decision: Decision) -> Case:
        case = self._known.get(decision.incident)
        if case is None:
            if len(self._known) >= CASES_MAX:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._changed.add(oldest)
            case = self._known[decision.incident] = Case(
                incident=decision.incident,
                service=decision.service,
                host=decision.host,
                pattern=decision.pattern,
                category=decision.category,
                severity=decision.severity,
                opened_ms=decision.append_ms,
            )
        return case


def _learn(case: Case, decision: Decision) -> None:
    """Take into a case what a decision says, but for escalation and approval."""
    case.pattern, case.category = decision.pattern or case.pattern, decision.category or case.category
    case.severity, case.lines = decision.severity or case.severity, max(case.lines, decision.count)
    case.phase = max(case.phase, round(_figure(decision, "phase")))
    case.worth = tuple(one.action for one in worth_doing(decision.options)) or case.worth
    match decision.kind:
        case "commanded" if decision.command is not None:
            tried = Tried(id=decision.id, action=decision.command.action, outcome="sent")
            case.tried = (*case.tried, tried)[-TRIED_MAX:]
        case "command_ended":
            _ended(case, decision, f"{ENDED}{decision.reason}")
        case "advised":
            advisor, _, said = decision.reason.partition(": ")
            vote = Vote(advisor=advisor, said=said, confidence=decision.confidence)
            case.votes = (*case.votes, vote)[-VOTES_MAX:]
        case "advice_settled":
            case.consensus, case.confidence = decision.reason, decision.confidence
            case.agreed = decision.reason.partition(": ")[2]
        case kind if kind in OUTCOMES:
            _ended(case, decision, OUTCOMES[kind])


def _ended(case: Case, decision: Decision, outcome: str) -> None:
    case.tried = tuple(replace(one, outcome=outcome) if one.id == decision.refers_to else one for one in case.tried)


def _told(case: Case, decision: Decision) -> Notice | None:
    match decision.kind:
        case "escalated":
            case.escalation, case.number = ("", 0) if decision.refers_to else (decision.id, decision.seq)
            return _notice(case, decision, "escalated", case.escalation) if case.escalation else None
        case "approval_requested" if decision.command is not None:
            silenced = any(gate.name == "silence" and not gate.passed for gate in decision.gates)
            case.approval, case.approval_number = ("", 0) if silenced else (decision.id, decision.seq)
            return _notice(case, decision, "approval_requested", case.approval) if case.approval else None
        case "escalation_resolved" if decision.refers_to == case.escalation:
            return _over(case, decision, "resolved")
        case kind if kind in ENDING and case.escalation:
            return _over(case, decision, "auto_resolved")
        case kind if case.approval and (kind in ENDING or decision.refers_to == case.approval):
            notice = _notice(case, decision, "approval_closed", case.approval)
            case.approval = ""
            return notice
    return None


def _over(case: Case, decision: Decision, kind: Kind) -> Notice:
    notice = _notice(case, decision, kind, case.escalation)
    case.escalation = ""
    return notice


def _notice(case: Case, decision: Decision, kind: Kind, about: str) -> Notice:
    command = decision.command
    return Notice(
        id=decision.id,
        kind=kind,
        about=about,
        number=case.approval_number if kind in APPROVALS else case.number,
        incident=case.incident,
        service=case.service,
        host=case.host,
        pattern=case.pattern,
        category=case.category,
        severity=case.severity,
        reason=decision.reason,
        phase=case.phase,
        lines=case.lines,
        opened_ms=case.opened_ms,
        at_ms=decision.append_ms,
        tried=case.tried,
        votes=case.votes,
        consensus=case.consensus,
        confidence=case.confidence,
        recommended=case.recommended,
        action=command.action if command else "",
        arguments=tuple((one.name, one.value) for one in command.arguments) if command else (),
        risk=_figure(decision, "risk"),
    )


def _figure(decision: Decision, name: str) -> float:
    return next((one.value for one in decision.figures if one.name == name), 0.0)
