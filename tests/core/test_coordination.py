"""A plan by itself: the graphs of the four ways, who takes what over, what counts as a finding, how it ends."""

from __future__ import annotations

import pytest

from streams.catalogue import strategies
from streams.core.coordination import (
    FINDINGS_MAX,
    LEADER,
    MEMBERS_MAX,
    NOBODY,
    STEPS_MAX,
    Member,
    Plan,
    Step,
    found,
    heard,
    is_explored,
    lose,
    members_of,
    pass_on,
    ready,
    result_of,
    share_done,
    steps_of,
    sum_of,
    support_for,
    wanted,
)
from streams.core.reports import SPECIALIST_STATES
from streams.core.teams import WAYS, SpecialistRow, TeamRow

TEAMS = strategies().teams
TEAM = members_of(TEAMS, "database", TEAMS.team("database_connection"))
"""database-optimizer (locks, ports, process), performance-optimizer (process, host, disk) and network-engineer (ports,
dependencies, names)."""


def a_plan(way: str, team: tuple[SpecialistRow, ...] = TEAM, *, up: bool = True, verifies: bool = True) -> Plan:
    """Return a plan whose members are all up."""
    members = [Member(f"{row.name}-001", row.name, f"spawn-{row.name}", 0) for row in team]
    for member in members if up else ():
        member.state = "running"
    return Plan(
        id="1-0-0",
        way=way,
        pattern="database_connection",
        host="h1",
        service_type="process",
        sync_ms=10_000,
        until_ms=20_000,
        due_ms=0,
        members=members,
        steps=steps_of(way, team, proposes=True, verifies=verifies),
    )


def needs(plan: Plan) -> list[tuple[str, int, tuple[int, ...]]]:
    """Return what each step is, whose, and what it waits for."""
    return [(step.topic or step.verb, step.member, step.needs) for step in plan.steps]


def begin(plan: Plan) -> list[str]:
    """Issue what is ready; return it."""
    begun = []
    for step in ready(plan, TEAMS):
        step.state, step.command_id = "issued", f"look-{step.topic or step.verb}"
        begun.append(step.topic or step.verb)
    return begun


def finish(plan: Plan, *names: str, state: str = "done") -> None:
    """End steps that were issued."""
    for step in plan.steps:
        if (step.topic or step.verb) in names:
            step.state = state


GRAPHS = {
    "sequential": [
        ("survey", NOBODY, ()),
        ("locks", 0, (0,)),
        ("ports", 0, (1,)),
        ("process", 0, (2,)),
        ("host", 1, (3,)),
        ("disk", 1, (4,)),
        ("dependencies", 2, (5,)),
        ("names", 2, (6,)),
        ("propose", NOBODY, (7,)),
        ("act", NOBODY, (8,)),
        ("verify", NOBODY, (9,)),
    ],
    "parallel": [
        ("survey", NOBODY, ()),
        ("locks", 0, (0,)),
        ("ports", 0, (0,)),
        ("process", 0, (0,)),
        ("host", 1, (0,)),
        ("disk", 1, (0,)),
        ("dependencies", 2, (0,)),
        ("names", 2, (0,)),
        ("propose", NOBODY, (0,)),
        ("act", NOBODY, (1, 2, 3, 4, 5, 6, 7, 8)),
        ("verify", NOBODY, (9,)),
    ],
    "hierarchical": [
        ("survey", NOBODY, ()),
        ("locks", 0, (0,)),
        ("ports", 0, (0,)),
        ("process", 0, (0,)),
        ("host", 1, (1, 2, 3)),
        ("disk", 1, (1, 2, 3)),
        ("dependencies", 2, (1, 2, 3)),
        ("names", 2, (1, 2, 3)),
        ("propose", NOBODY, (0,)),
        ("act", NOBODY, (4, 5, 6, 7, 8)),
        ("verify", NOBODY, (9,)),
    ],
    "swarm": [
        ("survey", NOBODY, ()),
        ("locks", NOBODY, (0,)),
        ("ports", NOBODY, (0,)),
        ("process", NOBODY, (0,)),
        ("host", NOBODY, (0,)),
        ("disk", NOBODY, (0,)),
        ("dependencies", NOBODY, (0,)),
        ("names", NOBODY, (0,)),
        ("propose", NOBODY, (0,)),
        ("act", NOBODY, (1, 2, 3, 4, 5, 6, 7, 8)),
        ("verify", NOBODY, (9,)),
    ],
}


@pytest.mark.parametrize("way", WAYS)
def test_a_way_is_a_graph(way: str) -> None:
    """Each way differs in what its looks wait for; a topic is looked at once, by the first who can."""
    assert needs(a_plan(way)) == GRAPHS[way]


@pytest.mark.parametrize("way", WAYS)
def test_steps_that_a_service_has_no_part_for_are_left_out(way: str) -> None:
    """Without declared files nothing is proposed, without probes nothing verified; the act is always there."""
    steps = steps_of(way, TEAM, proposes=False, verifies=False)
    assert [step.verb for step in steps] == ["survey", *["look"] * 7, "act"]
    assert all(0 <= index < number for number, step in enumerate(steps) for index in step.needs)


ORDER = {
    "sequential": [["survey"], ["locks"], ["ports"], ["process"], ["host"], ["disk"], ["dependencies"], ["names"]],
    "parallel": [["survey"], ["locks", "ports", "process", "host", "disk", "dependencies", "names", "propose"]],
    "hierarchical": [
        ["survey"],
        ["locks", "ports", "process", "propose"],
        ["host", "disk", "dependencies", "names"],
    ],
    "swarm": [["survey"], ["locks", "ports", "process", "propose"], ["host", "dependencies"], ["disk", "names"]],
}


@pytest.mark.parametrize("way", WAYS)
def test_steps_are_begun_in_the_order_of_their_way(way: str) -> None:
    """What is begun when all that was begun before has ended."""
    plan, order = a_plan(way), list[list[str]]()
    while len(order) < len(ORDER[way]):
        order.append(begin(plan))
        finish(plan, *order[-1])
    assert order == ORDER[way]


@pytest.mark.parametrize("state", ["failed", "skipped"])
def test_a_step_that_failed_keeps_nobody_waiting(state: str) -> None:
    """What needs a step goes on when that one is over, however it ended."""
    plan = a_plan("sequential")
    begin(plan)
    finish(plan, "survey", state=state)
    assert begin(plan) == ["locks"]


def test_a_look_waits_for_its_member() -> None:
    """Nobody looks before it is up; roles need no specialist."""
    plan = a_plan("parallel", up=False)
    begin(plan)
    finish(plan, "survey")
    assert begin(plan) == ["propose"]
    heard(plan, TEAMS, 1, "running")
    assert begin(plan) == ["host", "disk"]


def test_others_take_over_the_looks_of_a_lost_member() -> None:
    """What another member can look at goes to it, begun or not; the rest is skipped."""
    plan = a_plan("parallel")
    begin(plan)
    finish(plan, "survey")
    begin(plan)
    finish(plan, "ports")
    lose(plan, TEAMS, LEADER)
    states = {step.topic: (step.state, step.member) for step in plan.steps if step.verb == "look"}
    assert states["locks"] == ("skipped", NOBODY)
    assert states["ports"] == ("done", LEADER)
    assert states["process"] == ("waiting", 1)
    assert begin(plan) == ["process"]


def test_a_swarm_puts_the_looks_of_a_lost_member_back() -> None:
    """What a lost member of a swarm had begun is taken by the next one that is free."""
    plan = a_plan("swarm", (TEAM[0], TEAM[1], TEAM[0]))
    begin(plan)
    finish(plan, "survey")
    assert begin(plan) == ["locks", "ports", "process", "propose"]
    assert [step.member for step in plan.steps[1:4]] == [0, 2, 1]
    lose(plan, TEAMS, 0)
    assert begin(plan) == []
    finish(plan, "ports")
    assert begin(plan) == ["locks"]
    assert plan.steps[1].member == 2


def test_a_plan_that_all_have_left_waits_for_nothing() -> None:
    """With all members lost there is nothing to wait for, although the coder has not ended."""
    plan = a_plan("parallel")
    for index in range(3):
        assert not is_explored(plan)
        lose(plan, TEAMS, index)
    assert is_explored(plan)


def test_a_swarm_calls_a_further_member_when_one_is_at_work_for_long() -> None:
    """A look that only busy members can take makes a swarm grow a second after they began; other ways never grow."""
    for way in WAYS:
        plan = a_plan(way)
        begin(plan)
        finish(plan, "survey")
        assert wanted(plan, TEAMS) is None
        begin(plan)
        for step in plan.steps:
            step.issued_ms = 500
        found_wanted = wanted(plan, TEAMS)
        assert (found_wanted is not None) == (way == "swarm")
        assert found_wanted is None or (found_wanted[0], found_wanted[1].name) == (1_500, "performance-optimizer")


def test_a_swarm_has_a_limit() -> None:
    """No plan has more than six members."""
    plan = a_plan("swarm", (TEAM[0],) * MEMBERS_MAX)
    begin(plan)
    finish(plan, "survey")
    plan.members = plan.members[:5]
    for step in plan.steps[1:]:
        step.state, step.member = ("issued", 0) if step.topic == "locks" else ("waiting", NOBODY)
    for index, member in enumerate(plan.members):
        member.state = "running" if index == 0 else "failed"
    assert wanted(plan, TEAMS) is not None
    plan.members.append(Member("x-001", "x", "", 0, state="failed"))
    assert wanted(plan, TEAMS) is None


@pytest.mark.parametrize("way", WAYS)
def test_steps_have_a_limit(way: str) -> None:
    """However many topics specialists have, a plan and all acts that may be passed on fit into the limit."""
    rows = tuple(
        SpecialistRow(f"s{n}", (), tuple(f"t{n}-{m}" for m in range(9)), (), 1.0, 1, 1) for n in range(MEMBERS_MAX)
    )
    plan = a_plan(way, rows)
    for index in range(1, MEMBERS_MAX):
        pass_on(plan, index)
    assert len(plan.steps) == STEPS_MAX


def test_a_team_has_a_limit() -> None:
    """A leader and five at most; who leads does not support itself, and who is not in the table does not count."""
    names = [row.name for row in TEAMS.specialists]
    team = TeamRow("p", ("nobody", *names, *names), WAYS)
    members = members_of(TEAMS, "network", team)
    assert len(members) == MEMBERS_MAX
    assert [row.name for row in members][:2] == ["network-engineer", "database-optimizer"]


@pytest.mark.parametrize("first", SPECIALIST_STATES)
@pytest.mark.parametrize("then", SPECIALIST_STATES)
def test_who_is_gone_stays_gone(first: str, then: str) -> None:
    """Reports come in any order: nobody comes back, and nobody who was up is coming up again."""
    plan = a_plan("parallel", up=False)
    heard(plan, TEAMS, 0, first)
    heard(plan, TEAMS, 0, then)
    state = plan.members[0].state
    if {first, then} & {"failed", "released"}:
        assert state == "failed"
    elif "done" in {first, then}:
        assert state == "done"
    elif {first, then} & {"running", "waiting"}:
        assert state in {"running", "waiting"}
    else:
        assert state == "spawned"


FOUND = {
    "a row of the catalogue": ("look-locks", "locks_held", 2.0, True),
    "no row": ("look-locks", "made_up", 2.0, False),
    "not a number": ("look-locks", "locks_held", float("nan"), False),
    "of another topic": ("look-locks", "port_open", 1.0, False),
    "infinite": ("look-locks", "locks_held", float("-inf"), False),
    "of another command": ("look-x", "locks_held", 2.0, False),
    "of a step that is over": ("look-survey", "process_alive", 1.0, False),
    "of no step": ("", "locks_held", 2.0, False),
}


@pytest.mark.parametrize("what", sorted(FOUND))
def test_a_finding_is_of_the_catalogue_and_of_a_look(what: str) -> None:
    """Only a finite value of a known finding, of a look under way, is kept."""
    command, code, value, kept = FOUND[what]
    plan = a_plan("parallel")
    begin(plan)
    finish(plan, "survey")
    begin(plan)
    assert found(plan, TEAMS, command, code, value) == kept
    assert plan.findings == ({code: value} if kept else {})


def test_findings_have_a_limit() -> None:
    """A full plan takes no further finding, but newer values of those that it has."""
    plan = a_plan("parallel")
    begin(plan)
    plan.findings = {"process_alive": 0.0, **{f"f{n}": 0.0 for n in range(FINDINGS_MAX - 1)}}
    assert not found(plan, TEAMS, "look-survey", "port_open", 1.0)
    assert found(plan, TEAMS, "look-survey", "process_alive", 1.0)
    assert (len(plan.findings), plan.findings["process_alive"]) == (FINDINGS_MAX, 1.0)


def test_the_sum_of_a_plan_names_what_is_missing() -> None:
    """Steps and findings are counted; what failed, was skipped or came too late is named, and who was lost."""
    plan = a_plan("parallel")
    begin(plan)
    finish(plan, "survey")
    begin(plan)
    finish(plan, "host", "disk", "propose")
    finish(plan, "ports", state="failed")
    plan.findings = {"process_alive": 1.0, "disk_used_percent": 3.0}
    lose(plan, TEAMS, 2)
    assert sum_of(plan) == (
        "4 of 9 steps, 2 findings; failed: ports by database-optimizer-001; skipped: dependencies, names; "
        "too late: locks by database-optimizer-001, process by database-optimizer-001; lost: network-engineer-001"
    )


ENDS = {
    "all ended well": ("done", "done", False, False, "done"),
    "a look failed": ("failed", "done", False, False, "partly"),
    "its time was over first": ("waiting", "done", True, False, "timed_out"),
    "its time was over, and nothing was done": ("waiting", "waiting", True, False, "timed_out"),
    "nothing was done": ("done", "waiting", False, False, "failed"),
    "the act failed": ("done", "failed", False, False, "failed"),
    "what was done did not help": ("done", "done", False, True, "failed"),
    "it was late, and did not help": ("waiting", "done", True, True, "failed"),
}


@pytest.mark.parametrize("what", sorted(ENDS))
def test_how_a_plan_ends(what: str) -> None:
    """An act that did not help is a failure; else it depends on the steps and on the time."""
    look, act, late, is_failure, expected = ENDS[what]
    plan = a_plan("parallel", verifies=False)
    for step in plan.steps:
        step.state = "done"
    plan.steps[1].state, plan.act().state, plan.late = look, act, late
    assert result_of(plan, failed=is_failure) == expected


def test_the_share_of_steps_counts_all_of_them() -> None:
    """Survey, looks, proposal, act and verification count alike."""
    plan = a_plan("parallel")
    finish(plan, "survey", "locks", "act")
    assert share_done(plan) == pytest.approx(3 / 11)


def test_an_act_is_passed_on_to_a_support_that_may_do_it() -> None:
    """The next member after the one that acted whose verbs have it, and that is up; each has its turn once."""
    plan = a_plan("hierarchical")
    assert support_for(plan, TEAMS, "restart") == 1
    assert support_for(plan, TEAMS, "isolate") == 2
    assert support_for(plan, TEAMS, "end_idle_sessions") == NOBODY
    pass_on(plan, 1)
    assert plan.act() == Step(verb="act", member=1)
    assert plan.steps[10].needs == (11,)
    assert support_for(plan, TEAMS, "restart") == 2
    lose(plan, TEAMS, 2)
    assert support_for(plan, TEAMS, "restart") == NOBODY
