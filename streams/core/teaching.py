"""What became of an attempt is learnt: by the lessons of its action and way, and by the predictor of strategies."""

from __future__ import annotations

from streams.core.coordination import Plan
from streams.core.incidents import Attempt, Incident
from streams.core.learning import Where, mean
from streams.core.state import Draft, Turn
from streams.core.strategy import fixes_of, posterior_of
from streams.core.verdict import AGREED


def learn(turn: Turn, incident: Incident, attempt: Attempt, *, success: bool) -> dict[str, float]:
    """Learn whether an attempt helped; return what is believed of its action and of who advised it now."""
    command = attempt.command
    if attempt.vector and turn.policy.prediction:
        turn.state.strategist.learn(command.strategy, attempt.vector, success=success)
    where = Where(pattern=attempt.pattern, category=attempt.category, service_type=command.service_type)
    changed = turn.about(incident, "world_changed")
    changed.pattern, changed.strategy, changed.refers_to = attempt.pattern, command.strategy, attempt.decision_id
    told = learn_action(turn, where, command.action, changed, success=success)
    return told | _learn_advice(turn, incident, where, command.action, success=success)


def _learn_advice(turn: Turn, incident: Incident, where: Where, action: str, *, success: bool) -> dict[str, float]:
    """Learn what the confidence of those is worth who advised an action; what several agreed on and helped is a fix.

    A fix that was shipped or taught already stays as it is: its outcomes tell more than advice.
    """
    asked = incident.asked
    if asked is None:
        return {}
    told = {}
    for one in (*asked.diagnoses, *asked.distrusted):
        if one.action == action:
            told[f"trust_{one.advisor}"] = turn.state.advisors.learn(one.advisor, one.stated, success=success)
    verdict = asked.verdict
    agreed = verdict is not None and (verdict.kind, verdict.action) == (AGREED, action) and verdict.agreed > 1
    if success and verdict is not None and agreed and action not in fixes_of(turn.catalogue, turn.state.lessons, where):
        told["taught_confidence"] = turn.state.lessons.teach(where, action, verdict.confidence)
    return told


def learn_action(turn: Turn, where: Where, action: str, changed: Draft, *, success: bool) -> dict[str, float]:
    """Learn whether an action helped; return what is believed of it now, by the names of ``kinds.FIGURES``.

    When outcomes no longer fit what the action did before, that is a decision of its own: ``changed``.
    """
    policy = turn.policy
    learnt = turn.state.lessons.learn(where, action, success=success, forgetting=policy.forgetting)
    if learnt is None:
        return {}
    confidence = mean(posterior_of(turn.catalogue, turn.state.lessons, policy, where, action))
    if learnt.changed:
        changed.reason = f"{action} on {where.service_type}"
        changed.figures = {"usual_success": learnt.usual, "learnt_confidence": confidence}
        turn.write(changed)
    return {
        "learnt_success": float(success),
        "learnt_confidence": confidence,
        "learnt_outcomes": float(learnt.lesson.outcomes),
    }


def learn_way(turn: Turn, plan: Plan, *, success: bool) -> None:
    """Learn whether a way of working together led to what helped."""
    turn.state.lessons.learn_way(plan.pattern, plan.way, success=success, forgetting=turn.policy.forgetting)
