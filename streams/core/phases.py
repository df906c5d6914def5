"""The four phases of an incident: the help gets greater with each one that did not do (SPEC C4).

| phase | help | its time |
|---|---|---|
| 1 | a quick fix: what is known to help | ``phase1_ms`` |
| 2 | what one advisor makes of it | ``phase2_ms`` |
| 3 | what three advisors agree on | ``phase3_ms`` |
| 4 | a person | until the symptom is gone |

Each of the first three has one attempt (the third has those that the policy allows beyond three). From one to the next:

| what happened | next |
|---|---|
| the attempt failed | the next phase |
| nothing promises more than a person | the next phase, without an attempt |
| the phase's time is over | the next phase, without an attempt |
| the pattern was acted on just before, in another incident | the phase after that attempt's |
| attempts used up, stuck, in doubt what was done, denied | phase 4 |

Phase 1 begins with ``incident_opened``, 2 and 3 with ``phase_entered``, 4 with ``escalated``. Where there is no
advisor, phases 2 and 3 say so and decide by the rules, which know by then what failed; the same when none answers in
time. What advisors are too unsure of, or don't agree on, is not attempted (``advising.py``).

The clock of a phase runs while Logmend may act, and while advisors are waited for: not while an action or its
verification is under way, a person is asked, or a guardrail says no. A guardrail would be an escalation otherwise.
"""

from __future__ import annotations

from typing import Final

from streams.core.config import Policy
from streams.core.incidents import NEVER_MS, Incident, Phase
from streams.core.state import Turn

LAST_OF_OURS: Final = 3
PERSON: Final = 4


def limit_ms(policy: Policy, number: int) -> int:
    """Return how long the clock of one of the first three phases may run."""
    return (policy.phase1_ms, policy.phase2_ms, policy.phase3_ms)[number - 1]


def first(turn: Turn) -> Phase:
    """Return phase 1 of an incident that is opened now."""
    limit = limit_ms(turn.policy, 1)
    return Phase(number=1, limit_ms=limit, left_ms=limit, until_ms=turn.now_ms + limit)


def run(turn: Turn, incident: Incident) -> None:
    """Let the phase's clock run, if it stands."""
    phase = incident.phase
    if phase.number <= LAST_OF_OURS and phase.until_ms == NEVER_MS:
        phase.until_ms = turn.now_ms + phase.left_ms


def stop(turn: Turn, incident: Incident) -> None:
    """Stop the phase's clock, if it runs."""
    phase = incident.phase
    phase.left_ms, phase.until_ms = phase.left_at_ms(turn.now_ms), NEVER_MS


def is_over(turn: Turn, incident: Incident) -> bool:
    """Tell whether the phase's time is over."""
    return turn.now_ms >= incident.phase.until_ms


def next_number(turn: Turn, incident: Incident, attempts: int) -> int:
    """Return the phase that an incident belongs into which is to be decided on after so many attempts on its pattern.

    It is the present one when that has had no attempt, else the one after it. What is ahead of the attempts stays so:
    a phase may have gone by without one.
    """
    phase = incident.phase
    if phase.attempts < _attempts_max(turn.policy, phase.number):
        return max(phase.number, min(attempts + 1, LAST_OF_OURS))
    return phase.number + 1


def _attempts_max(policy: Policy, number: int) -> int:
    return max(1, policy.attempts_max - LAST_OF_OURS + 1) if number == LAST_OF_OURS else 1


def enter(turn: Turn, incident: Incident, number: int, why: str, advice: str) -> None:
    """Enter phase 2 or 3, for a reason, with the advice of somebody or nobody."""
    stop(turn, incident)
    draft = turn.about(incident, "phase_entered", f"{number}: {why}, {advice}")
    draft.figures = {**figures(turn, incident), "phase": float(number)}
    limit = limit_ms(turn.policy, number)
    incident.phase = Phase(number=number, limit_ms=limit, left_ms=limit, until_ms=turn.now_ms + limit)
    turn.write(draft)


def give_up(turn: Turn, incident: Incident) -> dict[str, float]:
    """Enter phase 4; return the figures of the decision that says so."""
    stop(turn, incident)
    told = figures(turn, incident)
    incident.phase = Phase(number=PERSON)
    return {**told, "phase": float(PERSON)}


def figures(turn: Turn, incident: Incident) -> dict[str, float]:
    """Return what is told of the phase: its number, and how long its clock ran (nothing runs in phase 4)."""
    phase = incident.phase
    told = {"phase": float(phase.number)}
    if phase.number <= LAST_OF_OURS:
        told["phase_clock_ms"] = float(phase.limit_ms - phase.left_at_ms(turn.now_ms))
    return told
