"""Who is called for an incident, in which way they work together, and the commands that bring them up."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from streams.core.choosing import best_of, choose, with_probabilities
from streams.core.coordination import Member, Plan, members_of, severe_enough, spawn_arguments, steps_of
from streams.core.events import Decision, Gate, Option
from streams.core.guardrails import ask_room, failed
from streams.core.incidents import PLANNING, Incident
from streams.core.inventory import ServiceSpec
from streams.core.learning import mean, variance
from streams.core.num import stored
from streams.core.roster import RELEASED_AFTER_MS, Held
from streams.core.sending import OUTCOME_SLACK_MS, Task, command_for, send
from streams.core.state import Draft, Turn
from streams.core.strategy import CATALOGUE_WEIGHT, has
from streams.core.teams import SpecialistRow, TeamRow

HELD_MAX_MS: Final = 3_600_000
"""Nobody is held longer for looks, and then for the act, than this, whatever the policy says."""
NO_PLAN: Final = "no_plan"
FIRST_WAY_SUCCESS: Final = 0.8
NEXT_WAY_LESS: Final = 0.05
"""The catalogue names the ways of a pattern best first: the share of success that each begins with."""


def begin(turn: Turn, incident: Incident, spec: ServiceSpec, options: tuple[Option, ...]) -> bool:
    """Call specialists if the incident is for them; True when a plan is under way now.

    The decision ``planned`` is recorded as well when they are not called after all: coordination is off, or they would
    hold more than is left.
    """
    team = turn.catalogue.teams.team(incident.pattern)
    why = _why(turn, incident, team, options)
    if not why:
        return False
    members = members_of(turn.catalogue.teams, incident.category, team)
    ways, gates = _ways(turn, incident, team, members)
    chosen = choose(ways, turn.next_id())
    if chosen.strategy == NO_PLAN:
        why += ", no room in the budget"
    if not turn.policy.coordination:
        why += ", coordination is off"
    draft = turn.about(incident, "planned", why)
    draft.strategy, draft.options, draft.gates, draft.confidence = chosen.strategy, ways, gates, chosen.expected_success
    decision = turn.write(draft)
    if chosen.strategy == NO_PLAN or not turn.policy.coordination:
        return False
    _call(turn, incident, spec, decision, members)
    return True


def leader_called(turn: Turn, incident: Incident, options: tuple[Option, ...]) -> str:
    """Return which specialist would lead a plan that is made for an incident now; ``""`` when none is."""
    team = turn.catalogue.teams.team(incident.pattern)
    if not turn.policy.coordination or not _why(turn, incident, team, options):
        return ""
    return turn.catalogue.teams.leader(incident.category).name


def _why(turn: Turn, incident: Incident, team: TeamRow, options: tuple[Option, ...]) -> str:
    if severe_enough(team, incident.severity):
        return "team at once"
    if incident.failed:
        return "after a failed attempt"
    unsure = best_of(options).expected_success < turn.policy.learned_confidence_min
    return "unsure" if unsure else ""


def _ways(
    turn: Turn, incident: Incident, team: TeamRow, members: tuple[SpecialistRow, ...]
) -> tuple[tuple[Option, ...], tuple[Gate, ...]]:
    """Return the ways that a team may work in as options, and the gates of the budget."""
    needs = turn.state.roster.needs(turn.now_ms)
    for row in members:
        needs = needs.and_more(row.cpu, row.memory_mb, row.bandwidth_mbps)
    gates = ask_room(needs, turn.policy)
    barred = "budget" if failed(gates) else ""
    memory_mb = sum(row.memory_mb for row in members)
    cost = stored(min(1.0, memory_mb / max(turn.policy.specialists_memory_max_mb, 1)))
    names = "+".join(row.name for row in members)
    ways, variances = [], []
    for number, way in enumerate(team.ways):
        success = FIRST_WAY_SUCCESS - NEXT_WAY_LESS * number
        prior = (CATALOGUE_WEIGHT * success, CATALOGUE_WEIGHT * (1.0 - success))
        belief = turn.state.lessons.posterior_way(incident.pattern, way, prior)
        expected = mean(belief)
        variances.append(variance(belief))
        ways.append(_option(way, names, expected, cost, stored(expected - turn.policy.cost_weight * cost), barred))
    if barred:
        return (*ways, _option(NO_PLAN, "", 0.0, 0.0, 0.0, "", probability=1.0)), gates
    return with_probabilities(ways, variances, turn.policy.exploration_rate), gates


def _option(
    way: str, names: str, expected: float, cost: float, score: float, barred: str, *, probability: float = 0.0
) -> Option:
    return Option(
        strategy=way,
        action=names,
        expected_success=expected,
        cost=cost,
        risk=0.0,
        score=score,
        probability=probability,
        barred=barred,
    )


def _call(
    turn: Turn, incident: Incident, spec: ServiceSpec, planned: Decision, members: tuple[SpecialistRow, ...]
) -> None:
    policy = turn.policy
    sync_ms = turn.now_ms + min(policy.plan_ms, HELD_MAX_MS)
    act_ms = policy.command_ttl_ms + policy.action_timeout_ms + OUTCOME_SLACK_MS
    plan = Plan(
        id=planned.id,
        way=planned.strategy,
        pattern=planned.pattern,
        host=spec.host,
        service_type=spec.type,
        sync_ms=sync_ms,
        until_ms=sync_ms + min(act_ms, HELD_MAX_MS),
        due_ms=turn.now_ms,
    )
    plan.steps = steps_of(
        plan.way,
        members,
        proposes=has(spec, "config_files") and has(spec, "checkpoint_dir"),
        verifies=has(spec, "probes"),
    )
    incident.plan, incident.status, incident.withheld = plan, PLANNING, ""
    for row in members:
        spawn(turn, incident, spec, plan, row)
    turn.state.incidents.wake(incident, turn.now_ms)


def spawn(turn: Turn, incident: Incident, spec: ServiceSpec, plan: Plan, row: SpecialistRow) -> None:
    """Have one more specialist brought up for a plan."""
    name = turn.state.roster.name_for(row.name)
    part = "support" if plan.members else "primary"
    keep_ms = plan.until_ms - turn.now_ms
    plan.members.append(Member(name=name, specialist=row.name, command_id=turn.next_id(), asked_ms=turn.now_ms))
    turn.state.roster.held[name] = Held(
        plan.id, incident.id, plan.host, plan.until_ms + RELEASED_AFTER_MS, row.cpu, row.memory_mb, row.bandwidth_mbps
    )
    arguments = spawn_arguments(row, name, part=part, plan=plan, keep_ms=keep_ms)
    task = Task(kind="spawn", action="specialist.spawn", arguments=arguments, ttl_ms=looking_ms(turn))
    send_for(turn, incident, spec, plan, turn.about(incident, "spawned", f"{name} as {part}"), task)


def looking_ms(turn: Turn) -> int:
    """Return how long a spawn or a look may wait: after the plan's time it would be for nothing."""
    return min(turn.policy.plan_ms, turn.policy.command_ttl_ms)


def send_for(turn: Turn, incident: Incident, spec: ServiceSpec, plan: Plan, draft: Draft, task: Task) -> None:
    """Write a decision of a plan that sends a command."""
    task = replace(task, attempt=incident.attempts + 1)
    draft.refers_to = plan.id
    send(turn, draft, command_for(turn, incident, spec, task))
