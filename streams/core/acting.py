"""From an open incident to a command, an approval request, a recorded "no", or a person."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from streams.core.advising import go_on, is_awaited, why_not
from streams.core.asking import question_of
from streams.core.calling import begin, leader_called
from streams.core.choosing import choose
from streams.core.echoes import speaks_until_ms
from streams.core.escalations import Escalation
from streams.core.events import ApprovalGiven, Command, Gate, Option
from streams.core.guardrails import TEMPORARY, Situation, ask, failed
from streams.core.incidents import ACTING, ESCALATED, NEVER_MS, OPEN, PLANNING, WAITING, Attempt, Incident
from streams.core.inventory import ServiceSpec, may_act
from streams.core.judging import why_asked
from streams.core.muting import maintained, silenced
from streams.core.phases import LAST_OF_OURS, figures, give_up, next_number, run, stop
from streams.core.planning import act_begins, end
from streams.core.risk import impact
from streams.core.sending import OUTCOME_SLACK_MS, Task, arguments_for, command_for, send
from streams.core.state import Turn
from streams.core.strategy import Answer, Question, risk_of, score_options
from streams.core.stuck import of_pattern, of_specialist, of_strategy

ASK_AGAIN_MS = 5_000


def consider(turn: Turn, incident: Incident) -> None:
    """Decide on an open incident whose time has come: act, call specialists first, say why not, or ask for a person."""
    spec = turn.fleet.spec(incident.service)
    if (until_ms := speaks_until_ms(turn, incident)) > turn.now_ms:
        incident.not_before_ms = until_ms
        turn.state.incidents.wake(incident, until_ms)
        return
    if _is_held(turn, incident):
        return
    if spec is not None and may_act(spec) and _stuck(turn, incident, of_pattern(incident.service, incident.pattern)):
        return
    run(turn, incident)
    gates = ask(turn.state.guard, turn.policy, _situation(turn, incident, spec, turn.append_ms))
    said_no = failed(gates)
    if "attempts" in said_no:
        escalate(turn, incident, _used_up(turn, incident))
        return
    if _phase_failed(turn, incident):
        return
    if why := why_not(incident):
        pass_on(turn, incident, why, gates=gates)
    elif spec is None or said_no:
        _withhold(turn, incident, spec, gates, said_no)
    elif is_awaited(incident):
        turn.state.incidents.wake(incident, incident.last_now_ms + turn.policy.quiet_close_ms)
    else:
        _decide(turn, incident, spec, gates)


def _is_held(turn: Turn, incident: Incident) -> bool:
    """Hold an incident while people maintain its service; then tell what had to wait for that. True: all is done."""
    mute_id, gates = maintained(turn, incident.service, incident.pattern)
    if mute_id:
        _withhold(turn, incident, turn.fleet.spec(incident.service), gates, failed(gates), mute_id)
    elif incident.held:
        escalate(turn, incident, incident.held)
    return bool(mute_id or incident.status == ESCALATED)


def _decide(turn: Turn, incident: Incident, spec: ServiceSpec, gates: tuple[Gate, ...]) -> None:
    """Decide on an incident that may be acted on."""
    question = question_of(turn, incident, spec)
    answer = score_options(question, turn.catalogue, turn.state.lessons, turn.policy)
    if incident.plan is None:
        leader = leader_called(turn, incident, answer.options)
        if leader and _stuck(turn, incident, of_specialist(leader)):
            return
        if begin(turn, incident, spec, answer.options):
            return
    chosen = choose(answer.options, turn.next_id())
    if chosen.strategy == "escalate":
        pass_on(turn, incident, "no action promises more", options=answer.options, gates=gates)
    elif not _stuck(turn, incident, of_strategy(chosen.strategy), options=answer.options, gates=gates):
        _issue(turn, incident, spec, chosen, question, answer, gates)


def _stuck(
    turn: Turn,
    incident: Incident,
    name: str,
    *,
    options: tuple[Option, ...] = (),
    gates: tuple[Gate, ...] = (),
) -> bool:
    """Ask for a person, with the evidence, if what comes next for an incident is stuck; True when it is."""
    record = turn.state.stuck.stuck(name)
    if record is None:
        return False
    evidence = record.figures(turn.now_ms)
    escalate(turn, incident, f"stuck: {name}", options=options, gates=gates, evidence=evidence)
    return True


def _phase_failed(turn: Turn, incident: Incident) -> bool:
    """Enter the phase that is next after a failed attempt; True when that is a person's."""
    number = next_number(turn, incident, _attempts(turn, incident))
    if number > LAST_OF_OURS:
        escalate(turn, incident, "attempts used up")
        return True
    if number > incident.phase.number:
        go_on(turn, incident, number, "after a failed attempt" if incident.attempts else _broke_again(turn))
    return False


def pass_on(
    turn: Turn,
    incident: Incident,
    why: str,
    *,
    options: tuple[Option, ...] = (),
    gates: tuple[Gate, ...] = (),
) -> None:
    """Go on in the next phase without an attempt in this one."""
    number = incident.phase.number + 1
    if number > LAST_OF_OURS:
        escalate(turn, incident, why, options=options, gates=gates)
        return
    go_on(turn, incident, number, why)
    turn.state.incidents.wake(incident, turn.now_ms)


def _situation(turn: Turn, incident: Incident, spec: ServiceSpec | None, by_ms: int) -> Situation:
    return Situation(
        spec=spec,
        now_ms=turn.now_ms,
        evidence_age_ms=max(by_ms - incident.last_at_ms, 0),
        halted=bool(turn.state.directory.halted_by),
        attempts=_attempts(turn, incident),
        under_way=turn.state.incidents.under_way() | turn.state.tasks.under_way(),
        services_known=len(turn.fleet),
    )


def _attempts(turn: Turn, incident: Incident) -> int:
    """Return the attempts so far: in this incident, or on the same pattern in those that were healed just before."""
    of_pattern = turn.state.guard.attempts(turn.now_ms, incident.service, incident.pattern, turn.policy)
    return max(incident.attempts, of_pattern)


def _used_up(turn: Turn, incident: Incident) -> str:
    if incident.attempts >= turn.policy.attempts_max:
        return "attempts used up"
    return f"attempts used up: {_broke_again(turn)}"


def _broke_again(turn: Turn) -> str:
    return f"it broke again within {turn.policy.flapping_ms // 1000} s"


def _withhold(
    turn: Turn,
    incident: Incident,
    spec: ServiceSpec | None,
    gates: tuple[Gate, ...],
    said_no: tuple[str, ...],
    mute_id: str = "",
) -> None:
    """Record that a gate said no (once per answer), and come back when it may say yes."""
    stop(turn, incident)
    again_ms = turn.now_ms + _closed_for_ms(gates) if TEMPORARY.issuperset(said_no) else NEVER_MS
    incident.not_before_ms = again_ms
    turn.state.incidents.wake(incident, min(again_ms, incident.last_now_ms + turn.policy.quiet_close_ms))
    answer = " ".join(said_no)
    if answer == incident.withheld:
        return
    incident.withheld = answer
    draft = turn.about(incident, "withheld", answer)
    draft.gates, draft.refers_to = gates, mute_id
    if spec is not None:
        question = question_of(turn, incident, spec)
        draft.options = score_options(question, turn.catalogue, turn.state.lessons, turn.policy).options
        draft.strategy = choose(draft.options, turn.next_id()).strategy
    turn.write(draft)


def _closed_for_ms(gates: tuple[Gate, ...]) -> int:
    """Return how long to wait before asking again: what a cool-down or a maintenance says, else a fixed while."""
    said_no = [gate for gate in gates if not gate.passed]
    says_when = len(said_no) == 1 and said_no[0].name in {"cooldown", "maintenance"}
    return int(said_no[0].value) if says_when else ASK_AGAIN_MS


def escalate(
    turn: Turn,
    incident: Incident,
    reason: str,
    *,
    options: tuple[Option, ...] = (),
    gates: tuple[Gate, ...] = (),
    evidence: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Ask for a person; the incident stays open until its symptom is gone. While its service is maintained, wait."""
    end(turn, incident)
    incident.asked = None
    if maintained(turn, incident.service, incident.pattern)[0]:
        incident.status, incident.attempt, incident.held = OPEN, None, reason
        _is_held(turn, incident)
        return
    incident.status, incident.attempt, incident.held = ESCALATED, None, ""
    told = give_up(turn, incident)
    turn.state.incidents.wake(incident, incident.last_now_ms + turn.policy.quiet_close_ms)
    draft = turn.about(incident, "escalated", reason)
    meant = impact(turn.catalogue.risk, incident.severity, turn.fleet.reach(incident.service))
    draft.figures = {**told, **evidence, **meant}
    draft.refers_to, silence = silenced(turn, incident.service, incident.pattern)
    draft.strategy, draft.options, draft.gates = "escalate", options, (*gates, *silence)
    incident.escalation = turn.write(draft).id
    turn.state.escalations.add(incident.escalation, _escalation(turn, incident))


def _escalation(turn: Turn, incident: Incident) -> Escalation:
    spec = turn.fleet.spec(incident.service)
    return Escalation(
        incident=incident.id,
        service=incident.service,
        host=incident.host,
        service_type=spec.type if spec is not None else "",
        pattern=incident.pattern,
        category=incident.category,
        severity=incident.severity,
    )


def _issue(
    turn: Turn,
    incident: Incident,
    spec: ServiceSpec,
    chosen: Option,
    question: Question,
    answer: Answer,
    gates: tuple[Gate, ...],
) -> None:
    command, why = _command(turn, incident, spec, chosen), answer.why(chosen)
    risk = risk_of(chosen.action, question, turn.catalogue)
    too_risky = risk.overall > turn.policy.risk_auto_max
    if too_risky:
        why += f", risk {risk.overall:g} above {turn.policy.risk_auto_max:g}"
    if unproven := why_asked(turn, question.where, chosen.action):
        why += f", {unproven}"
    asks = spec.mode == "approve" or too_risky or bool(unproven)
    if incident.plan is not None:
        why = act_begins(turn, incident.plan, chosen.action) + why
    ttl_ms = turn.policy.approval_ttl_ms if asks else command.timeout_ms + turn.policy.command_ttl_ms + OUTCOME_SLACK_MS
    draft = turn.about(incident, "approval_requested" if asks else "commanded", why)
    draft.strategy, draft.options, draft.gates = chosen.strategy, answer.options, gates
    if asks:
        draft.gates += silenced(turn, incident.service, incident.pattern)[1]
    draft.confidence = chosen.expected_success
    draft.figures = risk.figures() | impact(turn.catalogue.risk, incident.severity, question.standing.reach)
    draft.refers_to = incident.plan.id if incident.plan is not None else ""
    draft.figures |= figures(turn, incident)
    stop(turn, incident)
    incident.withheld = ""
    incident.status = WAITING if asks else ACTING
    incident.attempt = Attempt(
        decision_id=command.id,
        pattern=incident.pattern,
        command=command,
        issued_at_ms=turn.append_ms,
        deadline_ms=turn.now_ms + ttl_ms,
        category=incident.category,
        vector=question.vector,
    )
    turn.state.incidents.wake(incident, incident.attempt.deadline_ms)
    if asks:
        draft.command = command
        turn.write(draft)
        return
    _count(turn, incident, spec)
    send(turn, draft, command)


def _count(turn: Turn, incident: Incident, spec: ServiceSpec) -> None:
    incident.attempts += 1
    incident.phase.attempts += 1
    turn.state.guard.count_issued(turn.now_ms, spec, incident.pattern, turn.policy)


def _command(turn: Turn, incident: Incident, spec: ServiceSpec, chosen: Option) -> Command:
    row = turn.catalogue.action(chosen.action)
    task = Task(
        kind="recovery",
        action=chosen.action,
        strategy=chosen.strategy,
        arguments=arguments_for(chosen.action, spec, incident.pattern),
        repeatable=row is not None and row.repeatable,
        attempt=_attempts(turn, incident) + 1,
        ttl_ms=turn.policy.command_ttl_ms,
    )
    return command_for(turn, incident, spec, task)


def approve(turn: Turn, answer: ApprovalGiven) -> None:
    """Act on a person's answer. One that names another command, or comes too late, changes nothing."""
    incident = turn.state.incidents.of_attempt(answer.decision_id)
    if incident is None or incident.attempt is None or incident.status != WAITING:
        return
    command = incident.attempt.command
    if command.sha256 != answer.command_sha256:
        return
    if turn.now_ms >= incident.attempt.deadline_ms:
        approval_expired(turn, incident)
        return
    if not answer.approved:
        _deny(turn, incident, f"denied by {answer.author}")
        return
    spec = turn.fleet.spec(incident.service)
    asked_ms = (
        incident.attempt.issued_at_ms
    )  # evidence was fresh when the person was asked; that it waited is no reason
    _, muted = maintained(turn, incident.service, incident.pattern)
    gates = (*ask(turn.state.guard, turn.policy, _situation(turn, incident, spec, asked_ms)), *muted)
    if spec is None or failed(gates):
        _deny(turn, incident, f"approved, but {' '.join(failed(gates))}")
        return
    sent = msgspec.structs.replace(
        command,
        id=turn.next_id(),
        seq=turn.state.book.next_seq,
        previous_seq=turn.state.book.last_command_seq,
        expires_ms=turn.append_ms + turn.policy.command_ttl_ms,
        approved_by=answer.author,
    )
    asked = incident.attempt
    deadline_ms = turn.now_ms + sent.timeout_ms + turn.policy.command_ttl_ms + OUTCOME_SLACK_MS
    incident.status = ACTING
    incident.attempt = Attempt(
        decision_id=sent.id,
        pattern=asked.pattern,
        command=sent,
        issued_at_ms=turn.append_ms,
        deadline_ms=deadline_ms,
        category=asked.category,
        vector=asked.vector,
    )
    turn.state.incidents.wake(incident, deadline_ms)
    draft = turn.about(incident, "commanded", f"approved by {answer.author}")
    draft.strategy, draft.gates, draft.refers_to = sent.strategy, gates, asked.decision_id
    draft.figures |= figures(turn, incident)
    _count(turn, incident, spec)
    send(turn, draft, sent)


def _deny(turn: Turn, incident: Incident, reason: str) -> None:
    draft = turn.about(incident, "approval_denied", reason)
    draft.refers_to = incident.attempt.decision_id if incident.attempt else ""
    turn.write(draft)
    escalate(turn, incident, reason)


def approval_expired(turn: Turn, incident: Incident) -> None:
    """Nobody answered in time: that is a no."""
    _deny(turn, incident, "nobody answered in time")


def reopen(turn: Turn, incident: Incident) -> None:
    """Go on with an incident whose action ended without success."""
    incident.status, incident.attempt = OPEN, None
    incident.not_before_ms = turn.now_ms
    turn.state.incidents.wake(incident, turn.now_ms)


def ask_again(turn: Turn) -> None:
    """See to it that every waiting incident is looked at anew: configuration or kill switch changed."""
    for incident in turn.state.incidents.by_id.values():
        if incident.status == OPEN and incident.withheld:
            incident.not_before_ms = turn.now_ms
        if incident.status in {OPEN, PLANNING, WAITING, ESCALATED}:
            turn.state.incidents.wake(incident, turn.now_ms)
