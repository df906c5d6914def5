"""A plan: which specialists work together on an incident, in which steps, and how far they are. No commands here.

The four ways are one graph of steps each. It begins with the architect's survey, ends with the act and the critic's
verification, and differs in what each look waits for (``steps_of``). A step that failed or was skipped is over as well:
what it would have found is missing, and the plan goes on without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from streams.core.events import SEVERITIES, Argument
from streams.core.num import stored
from streams.core.teams import SpecialistRow, TeamRow, Teams

MEMBERS_MAX: Final = 6
STEPS_MAX: Final = 24
FINDINGS_MAX: Final = 32
LOOKS_MAX: Final = STEPS_MAX - 4 - (MEMBERS_MAX - 1)
"""Beside survey, proposal, act and verification, and the acts of those to whom the first one may be passed on."""
NOBODY: Final = -1
"""The member of a step that a role's worker does, or (a look) anyone who is free."""
GROWS_AFTER_MS: Final = 1_000
"""A swarm calls a further member when looks wait for those that have been at work for this long."""
LEADER: Final = 0
SURVEY: Final = 0

ROLE_OF: Final = {"survey": "architect", "propose": "coder", "verify": "critic"}
FOUND_BY: Final = {"survey": frozenset({"process", "ports"}), "propose": frozenset({"configuration"})}
"""The topics that are seen without a specialist."""
FINDS: Final = frozenset({"survey", "look", "propose"})
"""Steps that come before the act."""
OVER: Final = frozenset({"done", "failed", "skipped"})
UP: Final = frozenset({"running", "waiting"})
GONE: Final = frozenset({"failed", "released"})


class Member(Struct):
    """A specialist of a plan; ``state`` is one of ``reports.SPECIALIST_STATES``, ``asked_ms`` is ``now_ms``."""

    name: str
    specialist: str
    command_id: str
    asked_ms: int
    state: str = "spawned"
    heard: bool = False
    """Its pool said something of it."""


class Step(Struct):
    """One thing to do. ``verb``: survey, look, propose, act, verify. ``needs`` are indexes of steps before it.

    ``state``: waiting, issued, done, failed, skipped.
    """

    verb: str
    topic: str = ""
    member: int = NOBODY
    needs: tuple[int, ...] = ()
    state: str = "waiting"
    command_id: str = ""
    issued_ms: int = 0
    """When (``now_ms``) it was begun."""


class Plan(Struct):
    """A plan under way. Its id is that of the decision that made it. Times are ``now_ms``.

    ``due_ms`` is when something of it must be looked at, at the latest; ``until_ms`` when its specialists are let go,
    whatever became of it.
    """

    id: str
    way: str
    pattern: str
    host: str
    service_type: str
    sync_ms: int
    until_ms: int
    due_ms: int
    members: list[Member] = []
    steps: list[Step] = []
    findings: dict[str, float] = {}
    actor: int = LEADER
    """The member whose turn it is to act."""
    late: bool = False
    """Its time was over before its steps were."""

    def member(self, name: str) -> int:
        """Return the index of a specialist, ``NOBODY`` for a stranger."""
        return next((index for index, one in enumerate(self.members) if one.name == name), NOBODY)

    def step_of(self, command_id: str) -> Step | None:
        """Return the step that is under way by a command."""
        return next((step for step in self.steps if step.command_id == command_id and step.state == "issued"), None)

    def act(self) -> Step:
        """Return the act, the last one if it was passed on."""
        return next(step for step in reversed(self.steps) if step.verb == "act")

    def knows(self, command_id: str) -> bool:
        """Tell whether a command is one of this plan's spawns or looks."""
        spawns, steps = (one.command_id for one in self.members), (one.command_id for one in self.steps)
        return command_id in spawns or command_id in steps


# ------------------------------------------------------------------------------------------------------------- who


def severe_enough(team: TeamRow, severity: str) -> bool:
    """Tell whether a team is called before the first attempt."""
    return bool(team.at_once_from) and SEVERITIES.index(severity) >= SEVERITIES.index(team.at_once_from)


def members_of(teams: Teams, category: str, team: TeamRow) -> tuple[SpecialistRow, ...]:
    """Return the leading specialist and its support; at most ``MEMBERS_MAX``."""
    leader = teams.leader(category)
    support = [row for name in team.support if name != leader.name and (row := teams.specialist(name)) is not None]
    return (leader, *support)[:MEMBERS_MAX]


def spawn_arguments(row: SpecialistRow, name: str, *, part: str, plan: Plan, keep_ms: int) -> tuple[Argument, ...]:
    """Return what a pool must know to bring a specialist up; it lets go of it by itself after ``keep_ms``."""
    values = {
        "specialist": name,
        "part": part,
        "way": plan.way,
        "plan": plan.id,
        "cpu": f"{row.cpu:g}",
        "memory_mb": str(row.memory_mb),
        "bandwidth_mbps": str(row.bandwidth_mbps),
        "keep_ms": str(keep_ms),
    }
    return tuple(Argument(name=key, value=value) for key, value in values.items())


# ------------------------------------------------------------------------------------------------------ the four ways


def _sequential(finds: Sequence[Step]) -> None:
    """Let each step wait for the one before, so that each sees what the earlier found."""
    for before, step in enumerate(finds, SURVEY):
        step.needs = (before,)


def _parallel(finds: Sequence[Step]) -> None:
    """Let all look at once, after the survey."""
    for step in finds:
        step.needs = (SURVEY,)


def _hierarchical(finds: Sequence[Step]) -> None:
    """Let the leader look first, and its support after it."""
    leading = tuple(index for index, step in enumerate(finds, SURVEY + 1) if step.member == LEADER)
    for step in finds:
        step.needs = leading if leading and step.member > LEADER else (SURVEY,)


def _swarm(finds: Sequence[Step]) -> None:
    """Make the looks a queue from which anyone who is free takes the next."""
    _parallel(finds)
    for step in finds:
        step.member = NOBODY


_WAYS: Final[Mapping[str, Callable[[Sequence[Step]], None]]] = {
    "sequential": _sequential,
    "parallel": _parallel,
    "hierarchical": _hierarchical,
    "swarm": _swarm,
}


def steps_of(way: str, team: Sequence[SpecialistRow], *, proposes: bool, verifies: bool) -> list[Step]:
    """Return the steps of a way: survey, looks by the leader and then by its support, proposal, act, verification.

    A topic is looked at once, by the first of the team that can. The act waits for whatever no other step waits for.
    """
    finds = [Step(verb="look", topic=topic, member=member) for topic, member in _topics(team).items()]
    finds = finds[:LOOKS_MAX] + [Step(verb="propose")] * proposes
    _WAYS[way](finds)
    steps = [Step(verb="survey"), *finds]
    needed = {index for step in steps for index in step.needs}
    steps.append(Step(verb="act", needs=tuple(index for index in range(len(steps)) if index not in needed)))
    if verifies:
        steps.append(Step(verb="verify", needs=(len(steps) - 1,)))
    return steps


def _topics(team: Sequence[SpecialistRow]) -> dict[str, int]:
    found: dict[str, int] = {}
    for index, row in enumerate(team):
        for topic in row.topics:
            found.setdefault(topic, index)
    return found


# --------------------------------------------------------------------------------------------------------- going on


def ready(plan: Plan, teams: Teams) -> Iterator[Step]:
    """Yield the steps before the act whose turn it is; a look of nobody's gets a member that is free."""
    for step in plan.steps:
        if step.state != "waiting" or step.verb not in FINDS:
            continue
        if not all(plan.steps[index].state in OVER for index in step.needs):
            continue
        if step.verb == "look" and step.member == NOBODY:
            step.member = next((one for one in _able(plan, teams, step.topic) if _free(plan, one)), NOBODY)
        if step.verb != "look" or (step.member != NOBODY and plan.members[step.member].state in UP):
            yield step


def _able(plan: Plan, teams: Teams, topic: str) -> list[int]:
    """Return the members that are not gone and can look at a topic."""
    return [index for index, one in enumerate(plan.members) if one.state not in GONE and _looks_at(teams, one, topic)]


def _looks_at(teams: Teams, member: Member, topic: str) -> bool:
    row = teams.specialist(member.specialist)
    return row is not None and topic in row.topics


def _free(plan: Plan, index: int) -> bool:
    busy = any(step.member == index and step.state == "issued" for step in plan.steps)
    return plan.members[index].state in UP and not busy


def wanted(plan: Plan, teams: Teams) -> tuple[int, SpecialistRow] | None:
    """Return from when on a swarm needs a further member, and of which kind; None when it does not.

    It needs one when a look waits, and all who could take it have been at another one for ``GROWS_AFTER_MS``.
    """
    if plan.way != "swarm" or len(plan.members) >= MEMBERS_MAX:
        return None
    since_ms = {step.member: step.issued_ms for step in plan.steps if step.verb == "look" and step.state == "issued"}
    for step in plan.steps:
        waits = step.verb == "look" and step.state == "waiting" and plan.steps[SURVEY].state in OVER
        able = _able(plan, teams, step.topic) if waits else []
        row = teams.specialist(plan.members[able[0]].specialist) if able else None
        if row is not None and all(one in since_ms for one in able):
            return max(since_ms[one] for one in able) + GROWS_AFTER_MS, row
    return None


def lose(plan: Plan, teams: Teams, index: int) -> None:
    """Note that a member is lost: others who can take over its looks; the rest is skipped."""
    plan.members[index].state = "failed"
    for step in plan.steps:
        if step.verb == "look" and step.member == index and step.state not in OVER:
            able = _able(plan, teams, step.topic)
            step.state, step.command_id = "waiting", ""
            step.member = able[0] if able and plan.way != "swarm" else NOBODY
    for step in plan.steps:
        if step.verb == "look" and step.state == "waiting" and not _able(plan, teams, step.topic):
            step.state = "skipped"


def heard(plan: Plan, teams: Teams, index: int, state: str) -> None:
    """Take in what a pool says of a member. Who is gone stays gone; ``spawned`` after ``running`` came late."""
    member = plan.members[index]
    member.heard = True
    if member.state in GONE:
        return
    if state in GONE:
        lose(plan, teams, index)
    elif (state in UP and member.state != "done") or state == "done":
        member.state = state


def found(plan: Plan, teams: Teams, command_id: str, code: str, value: float) -> bool:
    """Keep what a look of this plan found; False for what is of no row, or another topic or command."""
    step = plan.step_of(command_id)
    topics = FOUND_BY.get(step.verb, {step.topic}) if step is not None else frozenset()
    known = any(row.code == code and row.topic in topics for row in teams.findings)
    room = code in plan.findings or len(plan.findings) < FINDINGS_MAX
    if not known or not room or not math.isfinite(value):
        return False
    plan.findings[code] = stored(value)
    return True


def is_explored(plan: Plan) -> bool:
    """Tell whether all steps before the act are over, or all members are lost."""
    return all(step.state in OVER for step in plan.steps if step.verb in FINDS) or is_deserted(plan)


def is_deserted(plan: Plan) -> bool:
    """Tell whether all members are lost: then nothing more is waited for."""
    return all(member.state in GONE for member in plan.members)


def pass_on(plan: Plan, index: int) -> None:
    """Let another member act, after the act of the one before failed without an effect."""
    act = len(plan.steps)
    plan.steps.append(Step(verb="act", member=index))
    for step in plan.steps:
        if step.verb == "verify":
            step.needs = (act,)
    plan.actor = index


def support_for(plan: Plan, teams: Teams, verb: str) -> int:
    """Return the first member after the one that acted that is up and may do a verb; ``NOBODY`` when none is."""
    later = range(plan.actor + 1, len(plan.members))
    return next((index for index in later if may_do(plan, teams, index, verb)), NOBODY)


def may_do(plan: Plan, teams: Teams, index: int, verb: str) -> bool:
    """Tell whether a member is up and carries out actions of a verb."""
    row = teams.specialist(plan.members[index].specialist)
    return plan.members[index].state in UP and row is not None and verb in row.verbs


# ------------------------------------------------------------------------------------------------------------ in words


def in_words(plan: Plan, step: Step) -> str:
    """Return a step and who does it."""
    if step.member == NOBODY:
        return f"{step.verb} by {ROLE_OF[step.verb]}" if step.verb in ROLE_OF else step.topic
    return f"{step.topic or step.verb} by {plan.members[step.member].name}"


def sum_of(plan: Plan) -> str:
    """Return how far a plan came when it acts: steps, findings, and what is missing."""
    finds = [step for step in plan.steps if step.verb in FINDS]
    said = [f"{sum(step.state == 'done' for step in finds)} of {len(finds)} steps, {len(plan.findings)} findings"]
    for word, states in (("failed", {"failed"}), ("skipped", {"skipped"}), ("too late", {"waiting", "issued"})):
        missing = [in_words(plan, step) for step in finds if step.state in states]
        if missing:
            said.append(f"{word}: {', '.join(missing)}")
    lost = [one.name for one in plan.members if one.state == "failed"]
    if lost:
        said.append(f"lost: {', '.join(lost)}")
    return "; ".join(said)


def result_of(plan: Plan, *, failed: bool) -> str:
    """Return how a plan ended: done, partly, timed_out (its time was over first), or failed (no act that helped)."""
    if failed or plan.act().state != "done":
        return "timed_out" if plan.late and plan.act().state == "waiting" and not failed else "failed"
    if plan.late:
        return "timed_out"
    return "done" if all(step.state == "done" for step in plan.steps) else "partly"


def share_done(plan: Plan) -> float:
    """Return the share of steps that ended well."""
    return stored(sum(step.state == "done" for step in plan.steps) / len(plan.steps))
