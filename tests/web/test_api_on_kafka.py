"""Through the API of a real `logmend web`, on a real Kafka with everything else running."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
import pytest

from streams.codec import encode
from streams.core.config import Inventory, Policy, canonical, sha256
from streams.core.events import ConfigApplied
from streams.core.inventory import ServiceSpec
from streams.ports import Outgoing
from streams.runtime.address import web_address_file
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import read_process, ready_file
from streams.runtime.supervisor import Supervisor
from streams.settings import Settings

ROLES: Final = ("detect", "decide", "dispatch", "workers", "host", "web")
PATIENCE_S: Final = 90.0
LIMITS: Final = Policy(phase1_ms=1_000, phase2_ms=1_000, phase3_ms=1_000, cooldown_ms=0)

pytestmark = pytest.mark.broker


async def until(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until there is something; return it. Raises ``TimeoutError``."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await ask()):  # noqa: ASYNC110 - a web is asked, it calls nobody
            await asyncio.sleep(0.1)
        return found


@asynccontextmanager
async def everything(settings: Settings) -> AsyncIterator[tuple[httpx2.AsyncClient, KafkaLog]]:
    """Run all processes that an action needs, and the web; give a client, and the log."""
    async with Supervisor(settings, roles=ROLES), KafkaLog(settings) as log:
        address = web_address_file(settings.data_dir).read_text()
        async with httpx2.AsyncClient(base_url=address, timeout=PATIENCE_S) as client:
            yield client, log


async def apply(log: KafkaLog, settings: Settings, kind: str, value: Inventory | Policy) -> None:
    """Put configuration in force."""
    body = canonical(value)
    event = ConfigApplied(kind=kind, sha256=sha256(body), author="test", body=body)
    await log.append([Outgoing(settings.topics.inbox_people, encode(event), b"")])


async def crash(log: KafkaLog, settings: Settings, service: str) -> None:
    """Let a service log that it crashed."""
    text = f'{{"service": "{service}", "level": "CRITICAL", "message": "segmentation fault (core dumped)"}}'
    await log.append([Outgoing(settings.topics.logs[0], text.encode(), service.encode())])


async def test_people_act_through_the_api(broker: Settings) -> None:
    """A task is done, action is halted and resumed, a crash waits for a yes and gets it, an escalation is resolved."""
    async with everything(broker) as (client, log):
        services = tuple(
            ServiceSpec(name=name, host=broker.host, mode=mode, argv=("/bin/true",), pid_file=f"/run/{name}.pid")
            for name, mode in (("pay", "approve"), ("lost", "approve"))
        )
        await apply(log, broker, "policy", LIMITS)
        await apply(log, broker, "inventory", Inventory(services=services))
        await until(lambda: _there(client))
        await _task(client)
        await _switch(client)
        await crash(log, broker, "pay")
        await _approve(client)
        await crash(log, broker, "lost")
        await _resolve(client)


async def _there(client: httpx2.AsyncClient) -> bool:
    """Say whether all workers are."""
    found = (await client.get("/api/cluster/status")).json()
    return bool(found["up_to_date"]) and found["workers"]["healthy"] == 5 and found["infrastructure_agent"] == "active"


async def _task(client: httpx2.AsyncClient) -> None:
    made = await client.post("/api/cluster/task/submit?agent_type=critic&description=say+hello")
    found = (await client.get(f"/api/cluster/task/{made.json()['task_id']}?wait_seconds=30")).json()
    assert (found["status"], found["worker_id"]) == ("completed", "critic_001")


async def _switch(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/halt", json={"by": "ada", "reason": "test"})).json()["in_force"]
    assert (await client.get("/api/halt")).json()["halt"]["author"] == "ada"
    assert (await client.post("/api/resume", json={"by": "ada"})).json()["in_force"]


async def _waiting(client: httpx2.AsyncClient) -> Any:
    return (await client.get("/api/approvals")).json()["approvals"]


async def _approve(client: httpx2.AsyncClient) -> None:
    (one, *_) = await until(lambda: _waiting(client))
    assert one["service"] == "pay"
    body = {"approve": True, "command_sha256": one["command_sha256"], "by": "ada", "reason": "it is down"}
    assert (await client.post(f"/api/approvals/{one['id']}", json=body)).json()[
        "detail"
    ] == "commanded: approved by ada"

    async def ended() -> bool:
        history = (await client.get("/api/cluster/status")).json()["healing_history"]
        return any(each["service"] == "pay" and each["status"] != "sent" for each in history)

    await until(ended)


async def _resolve(client: httpx2.AsyncClient) -> None:
    async def asked() -> Any:
        return [one for one in await _waiting(client) if one["service"] == "lost"]

    async def escalated() -> Any:
        found = (await client.get("/api/escalations")).json()["escalations"]
        return [one for one in found if one["issue_service"] == "lost"]

    (one, *_) = await until(asked)
    body = {"approve": False, "command_sha256": one["command_sha256"], "by": "ada", "reason": "by hand"}
    assert "denied by ada" in (await client.post(f"/api/approvals/{one['id']}", json=body)).json()["detail"]
    (found, *_) = await until(escalated)
    given = {"resolution_method": "manual", "notes": "started it", "by": "ada"}
    assert (await client.post(f"/api/escalations/{found['id']}/resolve", json=given)).json()["in_force"]
    assert (await client.get(f"/api/escalations/{found['id']}")).json()["escalation"]["status"] == "resolved"


async def test_a_dead_worker_is_healed_and_a_new_web_knows_what_is_open(broker: Settings) -> None:
    """A worker killed with -9 is named as replaced; a web killed with -9 comes back with all that was open."""
    async with everything(broker) as (client, log):
        await until(lambda: _there(client))
        await apply(log, broker, "inventory", Inventory(services=(ServiceSpec(name="pay", host=broker.host),)))
        agents = (await client.get("/api/cluster/agents/live")).json()["agents"]
        os.kill(agents[0]["pid"], signal.SIGKILL)
        healed = (await client.post("/api/cluster/heal", json={"by": "ada"})).json()
        assert healed["healed_workers"] == [agents[0]["id"]]
        set_ = await client.post("/api/mutes", json={"kind": "silence", "service": "x*", "minutes": 5, "by": "ada"})
        assert set_.json()["in_force"]
        await crash(log, broker, "pay")
        incidents = await until(lambda: _incidents(client))
        _kill_web(broker)
        now = web_address_file(broker.data_dir)
        async with httpx2.AsyncClient(timeout=PATIENCE_S) as again:

            async def back() -> Any:
                try:
                    found = (await again.get(f"{now.read_text()}/api/incidents")).json()["incidents"]
                except httpx2.TransportError:
                    return None
                return {one["id"] for one in found} >= {one["id"] for one in incidents} and found

            assert await until(back)
            mutes = (await again.get(f"{now.read_text()}/api/mutes")).json()["mutes"]
            assert [one["service"] for one in mutes] == ["x*"]


async def _incidents(client: httpx2.AsyncClient) -> Any:
    return (await client.get("/api/incidents")).json()["incidents"]


def _kill_web(settings: Settings) -> None:
    process = read_process(ready_file(settings.data_dir, "web"))
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
