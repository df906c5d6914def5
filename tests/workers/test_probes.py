"""Probes: what they see, and what of it they report."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from streams.core.config import Inventory
from streams.core.events import ProbeReported
from streams.core.inventory import ProbeSpec, ServiceSpec
from streams.workers import checkpoints, probes, proc, running
from streams.workers.looks import Look, look
from streams.workers.probes import AFTER_CHANGE, Probes, Reporter
from tests.workers.kit import HOST, Executor, command, http_spec, process_spec, target, until

UP = Look(ok=True, code="up", latency_ms=1)
DOWN = Look(ok=False, code="down", latency_ms=1)


async def seen(spec: ServiceSpec, **probe: Any) -> tuple[bool, str]:
    """Return what one probe of a service sees."""
    found = await look(spec, ProbeSpec(**probe))
    return found.ok, found.code


@pytest.mark.parametrize(
    ("path", "expected"), [("/", (True, "200")), ("/fail", (False, "500")), ("/moved", (True, "302"))]
)
async def test_http_probes_read_the_status(path: str, expected: tuple[bool, str]) -> None:
    """An answer below 400 is up, anything else is down, and the status is the code."""
    with target() as (port, _):
        assert await seen(http_spec(port), kind="http", target=path) == expected
        assert await seen(http_spec(port), kind="http", target=f"http://127.0.0.1:{port}{path}") == expected


async def test_a_slow_answer_is_no_answer() -> None:
    """A probe ends after its time-out."""
    with target() as (port, _):
        assert await seen(http_spec(port), kind="http", target="/slow", timeout_ms=100) == (False, "timed_out")


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n", b"\xff" * 5_000, b"HTTP/1.1\n"])
async def test_what_is_no_http_is_down(said: bytes) -> None:
    """A server that talks something else, or nothing, makes a failed probe and no error."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        ok, _ = await seen(http_spec(port), kind="http", target="/")
    assert not ok


async def test_tcp_probes_connect() -> None:
    """A port that accepts is up; when nobody listens the probe says refused."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        spec = ServiceSpec(name="api", host=HOST, port=port)
        assert await seen(spec, kind="tcp") == (True, "up")
        assert await seen(spec, kind="tcp", target=f"localhost:{port}") == (True, "up")
    assert await seen(spec, kind="tcp") == (False, "refused")


@pytest.mark.parametrize("address", ["nonsense", "localhost:", "localhost:x", "", "/x"])
async def test_a_wrong_address_is_down(address: str) -> None:
    """A probe whose address makes no sense fails, and nothing else does."""
    spec = ServiceSpec(name="api", host=HOST)
    for kind in ("tcp", "http"):
        ok, _ = await seen(spec, kind=kind, target=address)
        assert not ok


async def test_process_probes_tell_hung_from_down(root: Path, executor: Executor) -> None:
    """A process is down before its start, up after it, and stopped under SIGSTOP."""
    spec = process_spec(root)
    states = [await seen(spec, kind="process")]
    executor.run(command(spec, "process.start"))
    states.append(await seen(spec, kind="process"))
    found = running.find(spec)
    assert found
    os.kill(found.identity.pid, signal.SIGSTOP)
    until(lambda: (status := proc.status_of(found.identity.pid)) and status.state == "T")
    states.append(await seen(spec, kind="process"))
    assert states == [(False, "down"), (True, "up"), (False, "stopped")]


def test_reports_are_changes_then_one_per_interval() -> None:
    """The first look and the few after a change are reported, then one each interval."""
    reporter = Reporter(every_ms=30_000)
    states = [UP] * 40 + [DOWN] * 40
    reported = [second for second, state in enumerate(states) if reporter.worth(state, second * 1_000, 0)]
    first = list(range(AFTER_CHANGE + 1))
    assert reported == [*first, 33, *(40 + second for second in first), 73]


def test_every_look_after_an_action_is_reported() -> None:
    """While a service is looked at more closely nothing is left out."""
    reporter = Reporter(every_ms=30_000)
    for second in range(10):
        reporter.worth(UP, second * 1_000, 0)
    assert all(reporter.worth(UP, second * 500, 30_000) for second in range(20, 60))
    assert not reporter.worth(UP, 30_000, 30_000)


async def test_probes_follow_the_inventory(root: Path) -> None:
    """Services that are added are probed, those of other hosts are not, and those that are gone no more."""
    told: list[ProbeReported] = []
    twice = asyncio.Event()

    async def tell(event: ProbeReported) -> None:
        told.append(event)
        if len(told) > 1:
            twice.set()

    ours = process_spec(root, probes=(ProbeSpec(kind="process", every_ms=100),))
    others = process_spec(root, "far", host="h2", probes=(ProbeSpec(kind="process", every_ms=100),))
    looking = Probes(HOST, root, lambda: 5_000_000, tell)
    async with asyncio.TaskGroup() as group:
        looking.follow(Inventory(services=(ours, others)), group)
        await twice.wait()
        looking.follow(Inventory(), group)
        await asyncio.sleep(0)
        count = len(told)
        await asyncio.sleep(0.3)
    assert count == len(told)
    assert {event.service for event in told} == {"api"}
    assert {(event.ok, event.code, event.host) for event in told} == {(False, "down", HOST)}
    assert all(event.at_ms < 5_000_000_000_000 for event in told)


async def test_a_healthy_service_gets_a_checkpoint(
    root: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When all probes of a service have been green for a while its configuration is kept."""
    monkeypatch.setattr(probes, "GOOD_AFTER_MS", 200)
    config = root / "api.toml"
    config.write_text("good", "utf-8")
    spec = process_spec(root, config_files=(str(config),), probes=(ProbeSpec(kind="process", every_ms=100),))
    executor.run(command(spec, "process.start"))

    async def ignore(_: ProbeReported) -> None:
        pass

    looking = Probes(HOST, root, lambda: 0, ignore)
    async with asyncio.TaskGroup() as group:
        looking.follow(Inventory(services=(spec,)), group)
        await asyncio.to_thread(until, lambda: checkpoints.newest(spec, root), "a checkpoint")
        looking.stop()
