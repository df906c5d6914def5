"""Specialists in SQL: who was called, what they found, what came of it, and which way of working together pays."""

from __future__ import annotations

from pathlib import Path

import msgspec

from analytics.queries import latency
from analytics.views import EventLog
from streams.core.config import Inventory, Policy, canonical, sha256
from streams.core.events import ApprovalGiven, ConfigApplied
from tests.analytics.archive import archive
from tests.analytics.crew import answer, break_down, work_together
from tests.analytics.history import History, spec


async def told(directory: Path, *, dies: str = "") -> tuple[History, EventLog]:
    """Return a history in which a team of three heals a service, and its event log."""
    history = History()
    history.begin()
    work_together(history, "shop", "database_connection", dies=dies)
    await archive(history, directory)
    return history, EventLog(directory)


async def test_a_plan_is_a_row(tmp_path: Path) -> None:
    """A plan has its way, its members, what they found, and whether the act that it led to helped."""
    history, log = await told(tmp_path)
    with log:
        (plan,) = log.query("FROM plans").to_dicts()
    decided = [one.kind for one in history.decisions]
    assert (plan["service"], plan["way"]) == ("shop", "hierarchical")
    assert plan["members"] == decided.count("spawned") == 3
    assert plan["looks"] == decided.count("looked") > 3
    assert plan["actions"] == 1
    assert plan["findings"] == decided.count("looked")
    assert (plan["verified"], plan["outcome"]) == (True, "done")
    assert plan["planned_at"] < plan["synchronised_at"] <= plan["commanded_at"] < plan["ended_at"]


async def test_a_specialist_is_a_row(tmp_path: Path) -> None:
    """A specialist has its part, what it held and used, and where it stands; one that died says so."""
    _, log = await told(tmp_path, dies="network-engineer-001")
    with log:
        rows = {row["specialist"]: row for row in log.query("FROM specialists").to_dicts()}
    parts = {name: (row["part"], row["state"]) for name, row in rows.items()}
    assert parts == {
        "error-detective-001": ("primary", "released"),
        "performance-optimizer-001": ("support", "released"),
        "network-engineer-001": ("support", "failed"),
    }
    leader, lost = rows["error-detective-001"], rows["network-engineer-001"]
    assert (leader["cpu"], leader["memory_mb"], leader["cpu_ms"], leader["memory_kb"]) == (0.25, 96, 120, 40_000)
    assert 0 < leader["start_seconds"] < leader["held_seconds"]
    assert 0 < leader["used_seconds"] <= leader["held_seconds"]
    assert (lost["running_at"], lost["used_seconds"], lost["code"]) == (None, 0, "died")


async def test_findings_name_their_plan(tmp_path: Path) -> None:
    """Each finding says who found it, and belongs to the plan and the incident of the look that brought it."""
    history, log = await told(tmp_path)
    looks = {one.id: (one.refers_to, one.incident) for one in history.decisions if one.kind == "looked"}
    with log:
        rows = log.query("SELECT command, plan, incident, finding, value, worker FROM findings").rows()
    assert {row[0]: (row[1], row[2]) for row in rows} == looks
    assert {row[3:5] for row in rows} == {("process_memory_mb", 64.0)}
    assert {"architect_001", "error-detective-001"} <= {row[5] for row in rows}


async def test_ways_are_compared(tmp_path: Path) -> None:
    """A way has its plans, the share of them that helped, its time, and how well it used what it held."""
    _, log = await told(tmp_path)
    with log:
        (row,) = log.query("FROM coordination").to_dicts()
    assert (row["way"], row["plans"], row["verified"], row["success_rate"]) == ("hierarchical", 1, 1, 1.0)
    assert row["seconds_to_act"] > 0
    assert 0 < row["efficiency"] == round(row["used_seconds"] / row["held_seconds"], 4) < 1


async def test_an_incident_is_planned_until_it_is_acted_on(tmp_path: Path) -> None:
    """While its team looks, an incident is in planning: the end of a look is not the end of an action."""
    history = History()
    history.begin()
    break_down(history, "shop", "database_connection", answers=4)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT status, attempts FROM incidents").rows() == [("planning", 0)]


async def test_what_follows_an_act_changes_no_status(tmp_path: Path) -> None:
    """When its team is let go, and the critic has looked, an incident is in verification still."""
    history = History()
    history.begin()
    break_down(history, "shop", "database_connection", answers=1)
    answered = 1
    while answered < len(history.commands):
        answer(history, history.commands[answered])
        answered += 1
    await archive(history, tmp_path)
    assert history.decisions[-1].kind == "command_ended"
    with EventLog(tmp_path) as log:
        assert log.query("SELECT status, attempts FROM incidents").rows() == [("verifying", 1)]


async def test_an_approved_act_belongs_to_its_plan(tmp_path: Path) -> None:
    """An action that a person approved counts for the plan that asked for it."""
    history = History()
    history.begin()
    careful = tuple(msgspec.structs.replace(spec(name), mode="approve") for name in ("shop", "cart", "mail"))
    body = canonical(Inventory(services=careful))
    history.say(ConfigApplied(kind="inventory", sha256=sha256(body), author="ann", body=body))
    break_down(history, "shop", "database_connection", answers=1)
    answered = 1
    while not (asked := [one for one in history.decisions if one.kind == "approval_requested"]):
        answer(history, history.commands[answered])
        answered += 1
    command = asked[0].command
    assert command is not None
    history.say(
        ApprovalGiven(
            decision_id=asked[0].id, command_sha256=command.sha256, approved=True, author="ann", reason="go on"
        )
    )
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT actions, verified, commanded_at IS NOT NULL FROM plans").rows() == [(1, None, True)]


async def test_an_act_that_failed_did_not_help(tmp_path: Path) -> None:
    """A plan whose act failed counts against its way, although nothing was left to verify."""
    history = History()
    history.begin()
    history.see("shop", "database_connection")
    answered = 0
    while not [one for one in history.decisions if one.kind == "plan_ended"]:
        answer(history, history.commands[answered], fails=True)
        answered += 1
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT outcome, verified FROM plans WHERE outcome IS NOT NULL").rows() == [("failed", False)]
        assert log.query("SELECT success_rate FROM coordination").rows() == [(0.0,)]


async def test_the_last_word_of_a_pool_counts(tmp_path: Path) -> None:
    """Of what a pool says of a specialist at one time, the last holds."""
    history = History()
    history.begin()
    break_down(history, "shop", "database_connection", answers=1)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        states = dict(log.query("SELECT specialist, state FROM specialists").rows())
    assert states["error-detective-001"] == "waiting"
    assert set(states.values()) == {"waiting", "spawned"}


async def test_a_specialist_is_held_no_longer_than_it_may_be_kept(tmp_path: Path) -> None:
    """A pool that never says anything holds a specialist on paper only until it would have let it go by itself."""
    history = History()
    history.begin()
    history.see("shop", "database_connection")
    keep = next(one.value for one in history.commands[0].arguments if one.name == "keep_ms")
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        held = log.query("SELECT held_seconds FROM specialists").rows()
    assert all(0 <= seconds <= int(keep) / 1000 for (seconds,) in held)


async def test_a_plan_that_called_nobody_is_not_under_way(tmp_path: Path) -> None:
    """With coordination off a plan is on record, called nobody, and counts for no way."""
    history = History()
    history.begin()
    body = canonical(Policy(coordination=False))
    history.say(ConfigApplied(kind="policy", sha256=sha256(body), author="ann", body=body))
    history.see("shop", "database_connection")
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT members, outcome FROM plans").rows() == [(0, "not_called")]
        assert log.query("FROM coordination").is_empty()


async def test_healing_is_what_was_done_to_services(tmp_path: Path) -> None:
    """Looks and specialists come and go; only the action is healing, a recovery, and a command with a latency."""
    history, log = await told(tmp_path)
    (acted,) = [one for one in history.commands if one.kind == "recovery"]
    with log:
        assert log.query("SELECT command FROM healing").rows() == [(acted.id,)]
        assert log.query("SELECT command FROM recoveries").rows() == [(acted.id,)]
        assert latency(log)["commands"].item() <= 1
