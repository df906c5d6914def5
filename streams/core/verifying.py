"""What became of an action: its outcome, and whether the symptom stopped and stayed away.

Success is never "exit 0". The watermark of the service's sources must have passed the window, nothing may have come
back in it, and there must be positive evidence: a green probe, or a normal line from after the action.
"""

from __future__ import annotations

from streams.core.acting import approval_expired, consider, escalate, pass_on, reopen
from streams.core.advising import settle_if_due
from streams.core.events import OutcomeReported
from streams.core.incidents import ACTING, OPEN, PLANNING, VERIFYING, Attempt, Incident
from streams.core.judging import judge
from streams.core.phases import figures, is_over
from streams.core.planning import act_ended, act_failed, act_verified, advance, end, hear_outcome, out_of_time, stop
from streams.core.resolving import is_proven, judged
from streams.core.state import Draft, Turn
from streams.core.tasking import task_ended
from streams.core.teaching import learn

LOOK_EVERY_MS = 1_000


def ended(turn: Turn, outcome: OutcomeReported) -> None:
    """Take the first outcome of a command into account; repeats, strangers and other hosts change nothing."""
    if task_ended(turn, outcome):
        return
    awaited = turn.state.commands_open.get(outcome.command_id)
    if awaited is None or awaited.host != outcome.host:
        return
    del turn.state.commands_open[outcome.command_id]
    acted = turn.state.incidents.of_attempt(outcome.command_id)
    incident = acted or turn.state.incidents.of_plan(outcome.command_id)
    draft = turn.about(incident, "command_ended") if incident else Draft(kind="command_ended", service=awaited.service)
    draft.reason = f"{outcome.status} {'ok' if outcome.ok else 'failed'} {outcome.code}".rstrip()
    draft.refers_to = outcome.command_id
    if acted and acted.attempt:
        draft.strategy = acted.attempt.command.strategy
        if acted.status == ACTING and outcome.status == "done" and not outcome.ok and outcome.effect != "unknown":
            draft.figures = learn(turn, acted, acted.attempt, success=False)
    turn.write(draft)
    if acted is not None and acted.attempt is not None and acted.status == ACTING:
        _follow_up(turn, acted, acted.attempt, outcome)
    elif incident is not None and acted is None:
        hear_outcome(turn, incident, outcome)


def _follow_up(turn: Turn, incident: Incident, attempt: Attempt, outcome: OutcomeReported) -> None:
    if outcome.status == "done" and outcome.ok:
        incident.status = VERIFYING
        attempt.ended_ms = turn.now_ms
        attempt.finished_at_ms = turn.seen_ms(max(outcome.finished_ms, attempt.issued_at_ms))
        act_ended(turn, incident)
        turn.state.incidents.wake(incident, turn.now_ms + LOOK_EVERY_MS)
    elif outcome.status == "in_doubt" or outcome.effect == "unknown":
        escalate(turn, incident, "in doubt whether it was done")
    else:
        _failed(turn, incident, attempt, effect=outcome.effect, teaches=outcome.status == "done")


def _failed(turn: Turn, incident: Incident, attempt: Attempt, *, effect: str, teaches: bool) -> None:
    """Count a failure and go on with the next attempt; what was never run says nothing of the action or the way."""
    action = attempt.command.action
    incident.failed[action] = incident.failed.get(action, 0) + 1
    if teaches:
        turn.state.guard.count_failure(turn.now_ms, turn.policy)
    judge(turn, incident, attempt, success=False, ran=teaches)
    act_failed(turn, incident, effect=effect, teaches=teaches)
    reopen(turn, incident)


def look(turn: Turn, incident: Incident) -> None:
    """Look at an incident whose time has come."""
    settle_if_due(turn, incident)
    if incident.status != PLANNING:
        stop(turn, incident)
        out_of_time(turn, incident)
    match incident.status:
        case "acting":
            _overdue(turn, incident)
        case "verifying":
            _verify(turn, incident)
        case "waiting":
            _look_at_approval(turn, incident)
        case _:
            _look_at_quiet(turn, incident)


def _look_at_quiet(turn: Turn, incident: Incident) -> None:
    """Close an incident that subsided; else go on with its plan, or decide if it is open and its time has come."""
    quiet_ms = incident.last_now_ms + turn.policy.quiet_close_ms
    if turn.now_ms >= quiet_ms:
        _close(turn, incident, "subsided")
        return
    if is_over(turn, incident):
        pass_on(turn, incident, "its time is over")
    if incident.status == PLANNING:
        if advance(turn, incident):
            consider(turn, incident)
    elif incident.status != OPEN:
        _look_at_resolution(turn, incident, quiet_ms)
    elif turn.now_ms < incident.not_before_ms:
        turn.state.incidents.wake(incident, min(quiet_ms, incident.not_before_ms))
    else:
        consider(turn, incident)


def _look_at_resolution(turn: Turn, incident: Incident, quiet_ms: int) -> None:
    """Close an escalated incident when what a person did has helped; give it to a person again when it did not."""
    match judged(turn, incident):
        case "helped":
            _close(turn, incident, "healed")
        case "failed":
            escalate(turn, incident, "resolved, but the symptom came back")
        case "waits":
            turn.state.incidents.wake(incident, min(quiet_ms, turn.now_ms + LOOK_EVERY_MS))
        case _:
            turn.state.incidents.wake(incident, quiet_ms)


def _look_at_approval(turn: Turn, incident: Incident) -> None:
    attempt = incident.attempt
    if attempt is not None and turn.now_ms < attempt.deadline_ms:
        turn.state.incidents.wake(incident, attempt.deadline_ms)
    else:
        approval_expired(turn, incident)


def _overdue(turn: Turn, incident: Incident) -> None:
    attempt = incident.attempt
    if attempt is None:
        return
    if turn.now_ms < attempt.deadline_ms:
        turn.state.incidents.wake(incident, attempt.deadline_ms)
        return
    draft = turn.about(incident, "command_overdue", "no outcome in time")
    draft.refers_to = attempt.decision_id
    turn.write(draft)
    if attempt.command.repeatable:
        _failed(turn, incident, attempt, effect="unknown", teaches=False)
    else:
        escalate(turn, incident, "in doubt whether it was done")


def _verify(turn: Turn, incident: Incident) -> None:
    attempt = incident.attempt
    if attempt is None:
        return
    if attempt.failed_at_ms:
        _report(turn, incident, attempt, "verification_failed", "the symptom came back", success=False)
        _failed(turn, incident, attempt, effect="once", teaches=True)
        return
    turn.state.incidents.wake(incident, turn.now_ms + LOOK_EVERY_MS)
    policy = turn.policy
    window_ms = policy.verify_after_ms + policy.stay_away_ms
    if is_proven(turn, incident, attempt.finished_at_ms, attempt.ended_ms):
        _healed(turn, incident, attempt)
    elif turn.now_ms >= attempt.ended_ms + window_ms + policy.unverified_after_ms:
        _report(turn, incident, attempt, "unverified", "nothing positive was seen")
        _close(turn, incident, "unverified")


def _healed(turn: Turn, incident: Incident, attempt: Attempt) -> None:
    act_verified(turn, incident)
    turn.state.guard.count_success(turn.now_ms, incident.service)
    _report(turn, incident, attempt, "verified", "the symptom stopped and stayed away", success=True)
    judge(turn, incident, attempt, success=True, ran=True)
    _close(turn, incident, "healed")


def _report(
    turn: Turn, incident: Incident, attempt: Attempt, kind: str, reason: str, *, success: bool | None = None
) -> None:
    """Write down how a verification ended, and learn from it unless ``success`` is not known."""
    learnt = {} if success is None else learn(turn, incident, attempt, success=success)
    draft = turn.about(incident, kind, reason)
    draft.refers_to, draft.strategy, draft.figures = attempt.decision_id, attempt.command.strategy, learnt
    turn.write(draft)


def _close(turn: Turn, incident: Incident, reason: str) -> None:
    end(turn, incident)
    draft = turn.about(incident, "incident_closed", reason)
    draft.figures = figures(turn, incident)
    turn.write(draft)
    turn.state.escalations.clear(incident.escalation)
    turn.state.incidents.close(incident)
