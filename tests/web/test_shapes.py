"""Answers have the keys of SEED_TABLES section 3, what OpenAPI says of them is true, and bad input is told so."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2
import pytest

from tests.web.fleet import Fleet
from tests.web.rig import Rig, served

pytestmark = pytest.mark.asyncio(loop_scope="module")
WORKER: Final = {"id", "role", "pid", "status", "tasks", "errors", "uptime_seconds", "heartbeat_age_seconds"}
VIEW: Final = (
    "id task_id issue_hash severity issue_type issue_source issue_service issue_message ai_attempts_count ai_consensus "
    "ai_confidence ai_diagnosis recommended_action status assigned_to human_notes resolved_at resolution_method "
    "created_at last_checked github_issue_number github_escalated_at"
)


@pytest.fixture(scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Serve a fleet in which `pay` waits for a yes and `search` needs a person."""
    fleet = Fleet()
    fleet.begin()
    fleet.fail("search", severity="fatal")
    fleet.catch_up()
    fleet.see("pay", "process_crash")
    fleet.all_beat()
    fleet.look("h1", cpu=41.0, memory=78.5, disk=93.2)
    fleet.bury(1, "not JSON", "user=ann password=hunter2hunter2")
    async with served(fleet, tmp_path_factory.mktemp("shapes")) as one:
        await one.caught_up()
        assert await one.model.until(lambda: any(host.cpu for host in one.model.hosts()), 60)
        yield one


async def json_of(rig: Rig, path: str) -> Any:
    """Return what is answered."""
    answer = await rig.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_health_has_the_sources_shape(rig: Rig) -> None:
    """`/health` has the three keys of the source and nothing that would tell a stranger more."""
    assert await json_of(rig, "/health") == {
        "status": "healthy",
        "cluster_initialized": True,
        "infrastructure_agent": True,
    }


async def test_health_says_when_nobody_is_there(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent worker makes it degraded; a web that does not follow the log is unhealthy and answers 503."""
    now_ms = rig.model.now_ms
    monkeypatch.setattr(rig.model.clock, "now_ms", lambda: now_ms + 45_000)
    assert (await json_of(rig, "/health"))["status"] == "degraded"
    monkeypatch.setattr(rig.model, "up_to_date", False)
    answer = await rig.client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")


async def test_the_cluster_has_totals_bars_and_workers(rig: Rig) -> None:
    """The status has totals, the host's percentages, each worker, the agent's state and the healing history."""
    found = await json_of(rig, "/api/cluster/status")
    assert found["workers"] == {"total": 10, "healthy": 10, "unhealthy": 0}
    assert found["host"] == {"cpu": 41.0, "memory": 78.5, "disk": 93.2}
    assert WORKER.issubset(found["agents"][0])
    assert found["healing_history"][0]["service"] == "search"
    live = await json_of(rig, "/api/cluster/agents/live")
    assert {one["id"] for one in live["agents"]} == {
        f"{role}_001" for role in ("architect", "coder", "critic", "deployer", "executor")
    }


async def test_the_worst_host_speaks_for_all(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One host whose agent is silent or was never there shows in the state of all."""
    now_ms = rig.model.now_ms
    assert (await json_of(rig, "/api/cluster/status"))["infrastructure_agent"] == "none"
    monkeypatch.setattr(rig.model.clock, "now_ms", lambda: now_ms + 100_000)
    assert (await json_of(rig, "/api/cluster/status"))["infrastructure_agent"] == "silent"


async def test_escalations_have_the_columns_of_the_view(rig: Rig) -> None:
    """Each escalation has every column of the view, by its name."""
    found = (await json_of(rig, "/api/escalations"))["escalations"]
    assert set(VIEW.split()) <= set(found[0])
    one = await json_of(rig, f"/api/escalations/{found[0]['id']}")
    assert one["escalation"] == (await json_of(rig, f"/api/escalations/{found[0]['decision_id']}"))["escalation"]


async def test_dead_letters_are_listed_without_secrets(rig: Rig) -> None:
    """What no decoder took is listed with its reason; a password in it is not."""
    answer = await rig.client.get("/api/dlq")
    assert ("not JSON" in answer.text, "hunter2" in answer.text) == (True, False)
    assert answer.json()["counts"][0]["remedy"]


async def test_a_task_is_taken_by_query_and_by_body(rig: Rig) -> None:
    """The source's query and our JSON body submit the same."""
    by_query = await rig.client.post("/api/cluster/task/submit?agent_type=architect&description=look")
    by_body = await rig.client.post("/api/cluster/task/submit", json={"agent_type": "architect", "description": "look"})
    for answer in (by_query, by_body):
        made = answer.json()
        assert (made["agent_type"], made["status"]) == ("architect", "submitted")
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["task_id"])


async def described(rig: Rig) -> dict[str, Any]:
    """Return what OpenAPI says."""
    found: dict[str, Any] = await json_of(rig, "/openapi.json")
    return found


async def test_every_endpoint_is_described(rig: Rig) -> None:
    """Each endpoint of the API says what it does, who may call it, and what it answers; no reference leads nowhere."""
    found = await described(rig)
    ours = [one for path, methods in found["paths"].items() if path.startswith("/api/") for one in methods.values()]
    assert len(ours) > 25
    for one in ours:
        assert one["description"], one
        assert one["x-role"] in {"viewer", "operator", "approver"}
        assert one["responses"]["200"]["content"], one
    references = set(re.findall(r"#/components/schemas/(\w+)", str(found)))
    assert references <= set(found["components"]["schemas"])


async def test_answers_are_what_is_described(rig: Rig) -> None:
    """What a reader gets has the keys that OpenAPI requires, and no others."""
    found = await described(rig)
    for path in ("/health", "/api/cluster/status", "/api/incidents", "/api/approvals", "/api/stats", "/api/decisions"):
        schema = found["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        named = found["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        answer = await json_of(rig, path)
        assert set(named["required"]) <= set(answer) <= set(named["properties"]), path


BAD: Final[list[tuple[str, str, Any, int]]] = [
    ("GET", "/api/decisions?limit=0", None, 422),
    ("GET", "/api/decisions?limit=501", None, 422),
    ("GET", "/api/decisions?kind=nonsense", None, 422),
    ("GET", "/api/decisions?before=-1", None, 422),
    ("GET", "/api/stats?days=0", None, 422),
    ("GET", "/api/stats?days=many", None, 422),
    ("GET", "/api/cluster/task/7?wait_seconds=61", None, 422),
    ("GET", "/api/cluster/task/7?wait_seconds=nan", None, 422),
    ("GET", "/api/cluster/task/7", None, 404),
    ("GET", "/api/escalations/99999999999999999999", None, 404),
    ("GET", "/api/escalations/%27%20OR%201=1", None, 404),
    ("GET", "/api/escalations?status=any", None, 422),
    ("GET", "/api/why/%00", None, 404),
    ("GET", "/api/nothing", None, 404),
    ("DELETE", "/api/halt", None, 405),
    ("POST", "/api/cluster/task/submit", None, 422),
    ("POST", "/api/cluster/task/submit?agent_type=boss", None, 422),
    ("POST", "/api/cluster/task/submit", {"agent_type": "coder", "command": "rm -rf /"}, 422),
    ("POST", "/api/cluster/task/submit", {"agent_type": "coder", "action": "process.restart"}, 422),
    ("POST", "/api/cluster/task/submit", {"agent_type": "coder", "action": "sh -c id", "service": "shop"}, 422),
    ("POST", "/api/cluster/task/submit", {"agent_type": "coder", "description": "x" * 2_001}, 422),
    ("POST", "/api/halt", {"reason": "x" * 501}, 422),
    ("POST", "/api/halt", {"by": "a\nb"}, 422),
    ("POST", "/api/halt", {"reason": 7}, 422),
    ("POST", "/api/halt", [], 422),
    ("POST", "/api/mutes", {"kind": "noise", "minutes": 5}, 422),
    ("POST", "/api/mutes", {"kind": "silence"}, 422),
    ("POST", "/api/mutes", {"kind": "silence", "minutes": 5, "end_ms": 1}, 422),
    ("POST", "/api/mutes", {"kind": "silence", "end_ms": 1}, 422),
    ("POST", "/api/mutes", {"kind": "silence", "minutes": 44_641}, 422),
    ("POST", "/api/mutes/7/lift", {}, 404),
    ("POST", "/api/approvals/7", {"approve": True, "command_sha256": "x", "by": "a"}, 422),
    ("POST", "/api/approvals/7", {"approve": True, "command_sha256": "0" * 64, "by": "a"}, 404),
    ("POST", "/api/approvals/7", {"command_sha256": "0" * 64, "by": "a"}, 422),
    ("POST", "/api/escalations/7777/resolve", {"resolution_method": "manual"}, 404),
    ("POST", "/api/escalations/7777/assign", {}, 422),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), BAD)
async def test_bad_input_is_told_so(rig: Rig, method: str, path: str, body: Any, status: int) -> None:
    """Whatever is wrong with a request is told as a problem with what to do, and nothing is said in Kafka."""
    before = len(rig.said())
    answer = await rig.client.request(method, path, json=body)
    _is_problem(answer, status)
    assert len(rig.said()) == before


async def test_what_is_no_json_is_told_so(rig: Rig) -> None:
    """A body that can't be read is 422, and so is a form that is none."""
    headers = {"content-type": "application/json"}
    _is_problem(await rig.client.post("/api/halt", content=b"{", headers=headers), 422)
    _is_problem(await rig.client.post("/login", content=b"\xff\xfe"), 422)


@pytest.mark.parametrize("body", [{"resolution_method": "magic"}, {"resolution_method": ""}, {}])
async def test_a_resolution_needs_a_method(rig: Rig, body: dict[str, str]) -> None:
    """An escalation is resolved by a word of the list or an action of the catalogue, and by nothing else."""
    (one, *_) = (await json_of(rig, "/api/escalations"))["escalations"]
    answer = await rig.client.post(f"/api/escalations/{one['id']}/resolve", json=body)
    _is_problem(answer, 422)


async def test_a_fault_of_ours_says_nothing_of_inside(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What we did not foresee is 500 with no word of the error itself."""
    monkeypatch.setattr(rig.model, "approvals", lambda: 1 / 0)
    answer = await rig.client.get("/api/approvals")
    _is_problem(answer, 500)
    assert "division" not in answer.text


def _is_problem(answer: httpx2.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert (found["status"], bool(found["title"]), bool(found["detail"])) == (status, True, True)
