"""What people do through the API is decided on by the real fold, shows at once, and says who and why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from streams.codec import decode
from streams.core.events import ApprovalGiven, Decision
from streams.core.requests import EscalationAnswered, MuteSet, TaskSubmitted
from streams.ports import TopicPartition
from streams.web import doing
from tests.web.fleet import Fleet
from tests.web.rig import Rig, served

SECRET: Final = "password=hunter2hunter2"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Serve a fleet in which `pay` waits for a yes and `search` needs a person."""
    fleet = Fleet()
    fleet.begin()
    fleet.fail("search", severity="fatal")
    fleet.fail("cart", "connection_pool_exhausted", "error")
    fleet.catch_up()
    fleet.see("pay", "process_crash")
    fleet.all_beat()
    async with served(fleet, tmp_path, archived=False) as one:
        await one.caught_up()
        yield one


def of_kind(rig: Rig, kind: str) -> list[Decision]:
    """Return the decisions of a kind."""
    return [one for one in rig.fleet.decisions if one.kind == kind]


async def waiting(rig: Rig) -> dict[str, Any]:
    """Return the approval that waits."""
    (one,) = (await rig.client.get("/api/approvals")).json()["approvals"]
    found: dict[str, Any] = one
    return found


async def test_an_approved_action_goes_out(rig: Rig) -> None:
    """A yes sends the very command that was shown, with the name and the reason on record."""
    one = await waiting(rig)
    body = {"approve": True, "command_sha256": one["command_sha256"], "by": "ada", "reason": f"fine, {SECRET}"}
    answer = await rig.client.post(f"/api/approvals/{one['id']}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["detail"] == "commanded: approved by ada"
    command = rig.fleet.commands[-1]
    assert (command.sha256, command.approved_by, command.service) == (one["command_sha256"], "ada", "pay")
    (given,) = rig.said()
    assert isinstance(given, ApprovalGiven)
    assert "hunter2" not in given.reason
    assert (await rig.client.get("/api/approvals")).json()["approvals"] == []


async def test_a_denied_action_stays(rig: Rig) -> None:
    """A no sends nothing, and the incident goes to a person."""
    one = await waiting(rig)
    before = len(rig.fleet.commands)
    body = {"approve": False, "command_sha256": one["command_sha256"], "by": "ada"}
    answer = await rig.client.post(f"/api/approvals/{one['id']}", json=body)
    assert answer.json()["detail"] == "approval_denied: denied by ada"
    assert len(rig.fleet.commands) == before
    assert await rig.model.until(lambda: any(each.service == "pay" for each in rig.model.escalations()), 60)


async def test_an_approval_names_its_command(rig: Rig) -> None:
    """A yes to another command than the one that waits is refused, and nothing is said."""
    one = await waiting(rig)
    body = {"approve": True, "command_sha256": "0" * 64, "by": "ada"}
    answer = await rig.client.post(f"/api/approvals/{one['id']}", json=body)
    assert (answer.status_code, rig.said()) == (409, [])


async def test_an_approval_needs_a_name_in_local_mode(rig: Rig) -> None:
    """Without a token nobody approves anything namelessly."""
    one = await waiting(rig)
    for by in ("", "   "):
        body = {"approve": True, "command_sha256": one["command_sha256"], "by": by}
        answer = await rig.client.post(f"/api/approvals/{one['id']}", json=body)
        assert (answer.status_code, rig.said()) == (422, [])


async def test_an_expired_approval_is_denied(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time nobody's yes counts: 409, nothing is said, and it is not listed any more."""
    one = await waiting(rig)
    monkeypatch.setattr(rig.model.clock, "now_ms", lambda: one["expires_ms"])
    body = {"approve": True, "command_sha256": one["command_sha256"], "by": "ada"}
    answer = await rig.client.post(f"/api/approvals/{one['id']}", json=body)
    assert (answer.status_code, rig.said()) == (409, [])
    assert "expired" in answer.json()["detail"]
    assert (await rig.client.get("/api/approvals")).json()["approvals"] == []


async def test_an_approval_expires_when_the_fold_denies_it(rig: Rig) -> None:
    """The time that is shown is the one at which nobody's answer is a no; after it the API says what became of it."""
    one = await waiting(rig)
    left_ms = one["expires_ms"] - rig.fleet.now_ms
    rig.fleet.calm("shop", left_ms // 10_000 * 10 - 10, 10_000)
    await rig.caught_up()
    assert rig.model.approval(one["id"]) is not None
    rig.fleet.calm("shop", 22, 2_000)
    await rig.caught_up()
    answer = await rig.client.get(f"/api/approvals/{one['id']}")
    assert (answer.status_code, "nobody answered in time" in answer.text) == (409, True)
    body = {"approve": True, "command_sha256": one["command_sha256"], "by": "ada"}
    assert (await rig.client.post(f"/api/approvals/{one['id']}", json=body)).status_code == 409


async def test_two_people_do_not_approve_twice(rig: Rig) -> None:
    """Of two answers at once the first counts; the command goes out once."""
    one = await waiting(rig)
    body = {"approve": True, "command_sha256": one["command_sha256"], "by": "ada"}
    path = f"/api/approvals/{one['id']}"
    before = len(rig.fleet.commands)
    answers = await asyncio.gather(*(rig.client.post(path, json={**body, "by": by}) for by in ("ada", "bob")))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len(rig.fleet.commands) == before + 1
    assert (await rig.client.post(path, json=body)).status_code == 409


async def test_a_token_says_who(rig: Rig) -> None:
    """What is done with a token is on record under its name; to speak for another is refused."""
    one = await waiting(rig)
    approver = rig.roles()["approver"]
    path = f"/api/approvals/{one['id']}"
    body = {"approve": True, "command_sha256": one["command_sha256"]}
    assert (await approver.post(path, json={**body, "by": "eve"})).status_code == 422
    assert (await approver.post(path, json=body)).status_code == 200
    assert rig.fleet.commands[-1].approved_by == "the approver"


async def test_an_escalation_is_worked_on(rig: Rig) -> None:
    """Seen, assigned, noted, resolved: each step shows at once, with the columns of the view."""
    listed = (await rig.client.get("/api/escalations")).json()["escalations"]
    assert [(one["issue_service"], one["severity"]) for one in listed] == [("search", "fatal"), ("cart", "error")]
    path = f"/api/escalations/{listed[0]['id']}"
    steps: list[tuple[str, dict[str, str]]] = [
        ("acknowledge", {}),
        ("assign", {"assignee": "bob"}),
        ("note", {"notes": f"the disk was full, {SECRET}"}),
        ("resolve", {"resolution_method": "manual", "notes": "emptied it"}),
    ]
    statuses = []
    for step, body in steps:
        answer = await rig.client.post(f"{path}/{step}", json={**body, "by": "ada"})
        assert (answer.status_code, answer.json()["in_force"]) == (200, True), answer.text
        statuses.append((await rig.client.get(path)).json()["escalation"]["status"])
    assert statuses == ["acknowledged", "acknowledged", "acknowledged", "resolved"]
    found = (await rig.client.get(path)).json()["escalation"]
    assert (found["assigned_to"], found["resolution_method"]) == ("bob", "manual")
    answers = [one for one in rig.said() if isinstance(one, EscalationAnswered)]
    assert [one.author for one in answers] == ["ada"] * 4
    assert all("hunter2" not in one.reason for one in answers)
    again = await rig.client.post(f"{path}/resolve", json={"resolution_method": "manual", "by": "ada"})
    assert (again.status_code, again.json()["detail"]) == (409, "it is resolved already")


async def test_an_escalation_reads_alike_from_memory_and_from_the_files(rig: Rig) -> None:
    """What memory says of an escalation is what the view says once it is archived."""
    path = "/api/escalations"
    (first, *_) = (await rig.client.get(path)).json()["escalations"]
    await rig.client.post(f"{path}/{first['id']}/assign", json={"assignee": "bob", "by": "ada"})
    await rig.archive()
    live = (await rig.client.get(path)).json()["escalations"]
    rows = await rig.deps.history.rows("SELECT * FROM escalations ORDER BY id")
    for row in rows:
        one = next(each for each in live if each["id"] == row["id"])
        same = {name: value for name, value in row.items() if name in one and not name.endswith(("_at", "_checked"))}
        assert {name: one[name] for name in same} == same
        assert one["decision_id"] == row["decision"]


async def test_a_resolved_escalation_is_found_in_the_files(rig: Rig) -> None:
    """Escalations that are over are listed from the files, the newest first, page by page."""
    await rig.archive()
    everything = (await rig.client.get("/api/escalations?status=all")).json()["escalations"]
    assert [one["issue_service"] for one in everything] == ["cart", "search"]
    page = (await rig.client.get("/api/escalations?status=all&limit=1")).json()["escalations"]
    rest = await rig.client.get(f"/api/escalations?status=all&before={page[0]['id']}")
    assert [*page, *rest.json()["escalations"]] == everything
    assert (await rig.client.get("/api/escalations?status=resolved")).json()["escalations"] == []


async def test_a_mute_is_set_and_lifted(rig: Rig) -> None:
    """A silence holds from now until it is lifted, and says who set it and why."""
    body = {"kind": "silence", "service": "web*", "minutes": 10, "by": "ada", "reason": "new release"}
    made = (await rig.client.post("/api/mutes", json=body)).json()
    (mute,) = (await rig.client.get("/api/mutes")).json()["mutes"]
    assert (mute["id"], mute["kind"], mute["service"]) == (made["decision_id"], "silence", "web*")
    assert (mute["author"], mute["reason"], mute["end_ms"] - mute["begin_ms"]) == ("ada", "new release", 600_000)
    lifted = await rig.client.post(f"/api/mutes/{mute['id']}/lift", json={"by": "bob"})
    assert (lifted.status_code, (await rig.client.get("/api/mutes")).json()["mutes"]) == (200, [])
    assert (await rig.client.post(f"/api/mutes/{mute['id']}/lift", json={"by": "bob"})).status_code == 404
    assert isinstance(rig.said()[0], MuteSet)


async def test_the_kill_switch_works_at_once(rig: Rig) -> None:
    """Halting shows in the status and holds back what would have been done; resuming lets it go."""
    halted = await rig.client.post("/api/halt", json={"by": "ada", "reason": "looks odd"})
    assert halted.json()["in_force"]
    status = (await rig.client.get("/api/cluster/status")).json()
    assert (status["halted"], status["halted_by"]) == (True, "ada")
    assert (await rig.client.get("/api/halt")).json()["halt"]["reason"] == "looks odd"
    before = len(rig.fleet.commands)
    rig.fleet.see("mail", "process_crash")
    assert len(rig.fleet.commands) == before
    again = await rig.client.post("/api/halt", json={"by": "bob"})
    assert again.json()["detail"] == "the kill switch was on already, by ada"
    assert (await rig.client.post("/api/resume", json={"by": "ada"})).json()["in_force"]
    assert (await rig.client.get("/api/halt")).json() == {"halt": None}
    assert [one.kind for one in rig.fleet.decisions if one.kind in {"halted", "resumed"}] == ["halted", "resumed"]


async def test_a_task_is_done(rig: Rig) -> None:
    """A task is submitted, given, and completed; whoever waits for it is told when it is."""
    made = (await rig.client.post("/api/cluster/task/submit?agent_type=critic&description=say+hello")).json()
    assert set(made) == {"task_id", "agent_type", "status"}
    path = f"/api/cluster/task/{made['task_id']}"
    assert await rig.model.until(lambda: rig.model.asked.tasks[made["task_id"]].status == "given", 60)
    waiting = asyncio.create_task(rig.client.get(path, params={"wait_seconds": 20}))
    await asyncio.sleep(0)
    (given,) = of_kind(rig, "task_given")
    assert given.command is not None
    rig.fleet.outcome(given.command)
    found = (await waiting).json()
    assert (found["status"], found["result"]) == ("completed", {"agent_type": "critic", "result": "done ok exit_0"})
    assert await rig.model.until(lambda: rig.model.asked.tasks[made["task_id"]].worker == "w1", 60)
    assert (await rig.client.get(path)).json()["worker_id"] == "w1"


async def test_tasks_are_spread_over_hosts_that_answer(rig: Rig) -> None:
    """Tasks without a service go to all hosts where a worker of their role answers, and to none that is silent."""
    path = "/api/cluster/task/submit?agent_type=critic"
    for _ in range(24):
        await rig.client.post(path)
    assert {one.host for one in rig.said()} == {"h1", "h2"}
    rig.fleet.dead |= {one for one in rig.fleet.pids if one[0] == "h1"}
    rig.fleet.log.now_ms += 31_000
    rig.fleet.all_beat()
    assert await rig.model.until(lambda: sum(one.healthy for one in rig.model.workers()) == 5, 60)
    for _ in range(24):
        await rig.client.post(path)
    assert {one.host for one in rig.said()[24:]} == {"h2"}


async def test_what_a_task_says_is_kept_apart(rig: Rig) -> None:
    """The words of a task are evidence without secrets, at the event's own place; the event has their hash."""
    body = {"agent_type": "coder", "description": f"look at {SECRET}"}
    await rig.client.post("/api/cluster/task/submit", json=body)
    (task,) = rig.said()
    assert isinstance(task, TaskSubmitted)
    assert await rig.model.until(lambda: bool(of_kind(rig, "task_given")), 60)
    record = rig.fleet.log.records[TopicPartition(rig.fleet.topics.evidence, 0)][-1]
    text: Any = decode(record.value or b"")
    assert (text.topic, text.offset) == (rig.fleet.topics.inbox_people, rig.fleet.next_offset(text.topic) - 1)
    assert "hunter2" not in text.text
    assert len(task.description_sha256) == 64


async def test_a_refused_task_says_why(rig: Rig) -> None:
    """A task that guardrails hold back ends as refused, with the reason."""
    await rig.client.post("/api/halt", json={"by": "ada"})
    body = {"agent_type": "executor", "action": "process.restart", "service": "shop", "by": "ada"}
    made = (await rig.client.post("/api/cluster/task/submit", json=body)).json()
    found = (await rig.client.get(f"/api/cluster/task/{made['task_id']}?wait_seconds=5")).json()
    assert (found["status"], "halt" in found["result"]["result"]) == ("refused", True), found


async def test_a_result_is_kept_for_five_minutes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five minutes after its end a task is not known any more, and not before."""
    made = (await rig.client.post("/api/cluster/task/submit?agent_type=critic")).json()
    path = f"/api/cluster/task/{made['task_id']}"
    assert await rig.model.until(lambda: bool(of_kind(rig, "task_given")), 60)
    (given,) = of_kind(rig, "task_given")
    assert given.command is not None
    rig.fleet.outcome(given.command)
    ended = (await rig.client.get(f"{path}?wait_seconds=5")).json()["ended_ms"]
    for after_ms, status in ((299_999, 200), (300_000, 404)):
        rig.model.asked.forget(ended + after_ms)
        assert (await rig.client.get(path)).status_code == status


async def test_too_many_tasks_are_not_accepted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the fold would refuse for being too much is refused before it is said, with a word on when to come again."""
    monkeypatch.setattr(doing, "TASKS_OPEN_MAX", 3)
    answers = [await rig.client.post("/api/cluster/task/submit?agent_type=critic") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["retry-after"] == "1"


async def test_healing_names_whom_it_replaced(rig: Rig) -> None:
    """Workers with another process after healing were replaced; the others are not named."""
    rig.fleet.dead.add(("h1", "critic"))
    healing = asyncio.create_task(rig.client.post("/api/cluster/heal", json={"by": "ada", "reason": "odd"}))
    while not healing.done():
        rig.fleet.all_beat()
        await asyncio.sleep(0.05)
    found = (await healing).json()
    assert (found["healed_workers"], found["count"]) == (["critic_001"], 1)
    assert found["message"] == "1 workers were replaced, 9 answered"


async def test_who_heals_pools_that_nobody_heard_of_learns_how_one_is_heard(rig: Rig) -> None:
    """A refusal says what to look at and what to do."""
    rig.fleet.fold._state.tasks.hosts.clear()
    answer = await rig.client.post("/api/cluster/heal", json={"by": "ada"})
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("no pool was heard of lately: is logmend workers running?")


async def test_what_nobody_decides_on_is_recorded_all_the_same(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """While decide is down the answer says that it is recorded and not in force; it is in the inbox."""
    monkeypatch.setattr(doing, "IN_FORCE_S", 0.05)
    monkeypatch.setattr(rig.fleet, "hear", lambda: None)
    answer = (await rig.client.post("/api/halt", json={"by": "ada"})).json()
    assert (answer["in_force"], len(rig.said())) == (False, 1)
    assert "logmend detect" in answer["detail"]


async def test_many_tasks_are_taken_at_once(rig: Rig) -> None:
    """Several tasks in one request are all submitted, in order, or none is when one of them can't be."""
    roles = ["critic", "coder", "critic"]
    made = await rig.client.post("/api/cluster/tasks/submit", json={"tasks": [{"agent_type": one} for one in roles]})
    assert [one["agent_type"] for one in made.json()["tasks"]] == roles
    assert [one.task_id for one in rig.said()] == [one["task_id"] for one in made.json()["tasks"]]
    bad = {"tasks": [{"agent_type": "critic"}, {"agent_type": "boss"}]}
    assert (await rig.client.post("/api/cluster/tasks/submit", json=bad)).status_code == 422
    none = await rig.client.post("/api/cluster/tasks/submit", json={"tasks": []})
    assert (none.status_code, len(rig.said()), rig.model.asked.open) == (422, 3, 3)


async def test_what_kafka_did_not_take_is_no_task(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that can't be said is not known afterwards, and does not count as under way."""
    monkeypatch.setattr("streams.web.saying.WAITING_MAX", 0)
    answer = await rig.client.post("/api/cluster/task/submit?agent_type=critic")
    assert (answer.status_code, rig.model.asked.open, rig.model.asked.tasks) == (503, 0, {})


async def test_decisions_are_listed_without_a_hole(rig: Rig) -> None:
    """Pages of the timeline, part from memory and part from the files, hold each decision once, the newest first."""
    await rig.archive()
    rig.fleet.see("mail", "process_crash")
    await rig.caught_up()
    seqs: list[int] = []
    before = 1 << 62
    while True:
        page = (await rig.client.get("/api/decisions", params={"before": before, "limit": 3})).json()
        seqs += [one["seq"] for one in page["decisions"]]
        if page["next"] is None:
            break
        before = page["next"]
    assert seqs == [one.seq for one in reversed(rig.fleet.decisions)]


@pytest.mark.parametrize(
    ("name", "value"), [("kind", "escalated,approval_requested"), ("service", "pay"), ("severity", "fatal")]
)
async def test_filters_are_the_same_for_memory_and_files(rig: Rig, name: str, value: str) -> None:
    """A filter gives from memory and from the files what it gives over all decisions."""
    wanted = set(value.split(","))
    expected = [one.seq for one in reversed(rig.fleet.decisions) if getattr(one, name) in wanted]
    await rig.archive()
    for _ in range(2):
        found = (await rig.client.get("/api/decisions", params={name: value})).json()["decisions"]
        assert [one["seq"] for one in found] == expected
        rig.model._recent.clear()


async def test_why_leads_back_to_the_line(rig: Rig) -> None:
    """Asked about an escalation, the API tells the lines that it comes from."""
    await rig.archive()
    (first, *_) = (await rig.client.get("/api/escalations")).json()["escalations"]
    found = (await rig.client.get(f"/api/why/{first['decision_id']}")).json()
    assert "search broke: process_crash" in msgspec.json.encode(found).decode()
    assert (await rig.client.get("/api/why/9-9-9")).status_code == 404


async def test_totals_are_those_of_the_views(rig: Rig) -> None:
    """Totals by status and phase, and the rates of section 2, are what the views say."""
    await rig.archive()
    found = (await rig.client.get("/api/stats")).json()
    assert (found["tasks"], sum(found["by_status"].values()), sum(found["by_phase"].values())) == (3, 3, 3)
    assert found["escalations_by_status"] == {"pending": 2}
    assert (found["fix_rate"], found["escalation_rate"]) == (0.0, 66.7)
