"""What became of an attempt is learnt: by the lessons of its action and way, and by the predictor of strategies."""

from __future__ import annotations

from streams.core.coordination import Plan
from streams.core.incidents import Attempt, Incident
from streams.core.learning import Where, mean
from streams.core.state import Turn
from streams.core.strategy import posterior_of


def learn(turn: Turn, incident: Incident, attempt: Attempt, *, success: bool) -> dict[str, float]:
    """Learn whether an action helped; return what is believed of it now, by the names of ``kinds.FIGURES``.

    When outcomes no longer fit what the action did before, that is a decision of its own.
    """
    command, policy = attempt.command, turn.policy
    where = Where(pattern=attempt.pattern, category=attempt.category, service_type=command.service_type)
    learnt = turn.state.lessons.learn(where, command.action, success=success, forgetting=policy.forgetting)
    if attempt.vector and policy.prediction:
        turn.state.strategist.learn(command.strategy, attempt.vector, success=success)
    if learnt is None:
        return {}
    confidence = mean(posterior_of(turn.catalogue, turn.state.lessons, policy, where, command.action))
    if learnt.changed:
        draft = turn.about(incident, "world_changed", f"{command.action} on {command.service_type}")
        draft.pattern, draft.strategy, draft.refers_to = attempt.pattern, command.strategy, attempt.decision_id
        draft.figures = {"usual_success": learnt.usual, "learnt_confidence": confidence}
        turn.write(draft)
    return {
        "learnt_success": float(success),
        "learnt_confidence": confidence,
        "learnt_outcomes": float(learnt.lesson.outcomes),
    }


def learn_way(turn: Turn, plan: Plan, *, success: bool) -> None:
    """Learn whether a way of working together led to what helped."""
    turn.state.lessons.learn_way(plan.pattern, plan.way, success=success, forgetting=turn.policy.forgetting)
