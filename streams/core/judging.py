"""What the outcome of an attempt says beyond its incident: what is stuck, and what an action may do on its own."""

from __future__ import annotations

from streams.core.autonomy import AUTO, SHADOW, bound, earned_by
from streams.core.incidents import Attempt, Incident
from streams.core.learning import Where
from streams.core.state import Draft, Turn
from streams.core.stuck import Record, of_pattern, of_specialist, of_strategy


def judge(turn: Turn, incident: Incident, attempt: Attempt, *, success: bool, ran: bool) -> None:
    """Take in how an attempt ended, after it was learnt and before its plan ends: the plan's leader answers for it.

    A command that was never run (refused, expired) is a failure for the service's pattern, which is no better for it;
    it says nothing of a strategy, a specialist or an action. What could not be verified counts for neither side.
    """
    names = [of_pattern(incident.service, attempt.pattern)]
    if ran:
        names.append(of_strategy(attempt.command.strategy))
        if incident.plan is not None:
            names.append(of_specialist(incident.plan.members[incident.plan.actor].specialist))
        _settle(turn, incident, attempt)
    for name in names:
        _count(turn, incident, attempt, name, success=success)


def _count(turn: Turn, incident: Incident, attempt: Attempt, name: str, *, success: bool) -> None:
    record = turn.state.stuck.touch(name)
    forgotten = turn.state.stuck.evict()
    if forgotten is not None and forgotten.said_in:
        _release(turn, forgotten, "forgotten: too many others had attempts since")
    if success:
        record.succeeded(turn.now_ms)
        if record.said_in:
            _release(turn, record, f"{name} helped")
    elif record.failed(turn.now_ms, turn.policy):
        draft = turn.about(incident, "stuck", name)
        draft.pattern, draft.strategy, draft.refers_to = attempt.pattern, attempt.command.strategy, attempt.decision_id
        draft.figures = record.figures(turn.now_ms)
        record.said_in = turn.write(draft).id


def release_all(turn: Turn, why: str) -> None:
    """Let everything that is stuck be tried again, since a person says that things are different now."""
    for record in turn.state.stuck.records.values():
        if record.said_in:
            _release(turn, record, why)


def _release(turn: Turn, record: Record, why: str) -> None:
    turn.write(Draft(kind="stuck_released", reason=why, refers_to=record.said_in))
    record.release()


def level_of(turn: Turn, where: Where, action: str) -> tuple[str, float]:
    """Return what an action may do on its own by its evidence, and the lower bound of its success."""
    least = bound(turn.catalogue, turn.state.lessons, turn.policy, where, action)
    return turn.state.autonomy.level(where, action, least, turn.now_ms, turn.policy), least


def in_shadow(turn: Turn, where: Where, actions: list[str]) -> dict[str, str]:
    """Return those of a pattern's actions that are in shadow, each with that word: none before outcomes brought one."""
    if not turn.state.autonomy.standings:
        return {}
    return {action: SHADOW for action in actions if level_of(turn, where, action)[0] == SHADOW}


def _settle(turn: Turn, incident: Incident, attempt: Attempt) -> None:
    """Tell it when an outcome has brought an action to another level."""
    command, policy = attempt.command, turn.policy
    if not policy.autonomy:
        return
    where = Where(pattern=attempt.pattern, category=attempt.category, service_type=command.service_type)
    least = bound(turn.catalogue, turn.state.lessons, policy, where, command.action)
    before = turn.state.autonomy.settle(where, command.action, least, turn.now_ms, policy)
    if not before:
        return
    lesson = turn.state.lessons.lesson(where, command.action)
    draft = turn.about(incident, "autonomy_changed", f"{command.action}: {before} to {earned_by(least, policy)}")
    draft.pattern, draft.strategy, draft.refers_to = attempt.pattern, command.strategy, attempt.decision_id
    draft.figures = {
        "autonomy_bound": least,
        "verified_successes": lesson.successes,
        "verified_failures": lesson.failures,
    }
    turn.write(draft)


def why_asked(turn: Turn, where: Where, action: str) -> str:
    """Return why evidence has a person asked before an action; ``""`` when it may be done without."""
    level, least = level_of(turn, where, action)
    return "" if level == AUTO else f"autonomy {least:.2f} below {turn.policy.autonomy_auto_min:g}"
