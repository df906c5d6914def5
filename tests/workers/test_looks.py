"""What probes of certificates, disks, memory, units and containers see."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pytest

from streams.core.inventory import ProbeSpec, ServiceSpec
from streams.workers.looks import Look, look, missing_tool
from tests import certificates
from tests.certificates import Certificate
from tests.workers.kit import HOST, Executor, command, process_spec
from tests.workers.test_units import Tools, spec_of


def certificate(root: Path, days: float, begun_days: float = 10) -> Certificate:
    """Write a certificate that ends in so many days."""
    return certificates.certificate(root, begun=dt.timedelta(begun_days), left=dt.timedelta(days, minutes=5))


async def seen(spec: ServiceSpec, tool_path: str = "", **probe: Any) -> tuple[bool, str]:
    """Return what one probe of a service sees."""
    found: Look = await look(spec, ProbeSpec(timeout_ms=5_000, **probe), tool_path)
    return found.ok, found.code


SPEC = ServiceSpec(name="api", host=HOST)


@pytest.mark.parametrize(
    ("days", "begun_days", "wanted"),
    [
        (30, 10, (True, "days_30")),
        (14, 10, (True, "days_14")),
        (13, 10, (False, "days_13")),
        (-1, 10, (False, "expired")),
        (30, -1, (False, "not_yet_valid")),
    ],
)
async def test_a_certificate_in_a_file(root: Path, days: float, begun_days: float, wanted: tuple[bool, str]) -> None:
    """A certificate fails when it ends sooner than the limit in days, has ended or has not begun."""
    target = str(certificate(root, days, begun_days).trusted)
    assert await seen(SPEC, kind="certificate", target=target, limit=14) == wanted


async def test_a_certificate_that_a_server_shows(root: Path) -> None:
    """The certificate of a server is looked at although nobody trusts it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(root, 3).server)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await seen(SPEC, kind="certificate", target=address, limit=2) == (True, "days_3")
        assert await seen(SPEC, kind="certificate", target=address, limit=7) == (False, "days_3")


@pytest.mark.parametrize("target", ["/nowhere/at.all", "/dev/null", "localhost:x", ""])
async def test_what_is_no_certificate_fails(target: str) -> None:
    """A file that is none, or an address that makes no sense, is a failed probe and no error."""
    assert (await seen(SPEC, kind="certificate", target=target, limit=1))[0] is False


async def test_a_disk(root: Path) -> None:
    """A file system fails when more of it is used than the limit in percent."""
    ok, code = await seen(SPEC, kind="disk", target=str(root), limit=100)
    used = int(code.removeprefix("used_"))
    assert ok
    assert 0 <= used <= 100
    assert await seen(SPEC, kind="disk", target=str(root), limit=0.001) == (False, code)
    assert await seen(SPEC, kind="disk", target="/nowhere/at/all", limit=50) == (False, "no_answer")


async def test_memory_of_a_process(root: Path, executor: Executor) -> None:
    """A process fails when it holds more than the limit in MiB; one that is down is unknown."""
    spec = process_spec(root)
    assert await seen(spec, kind="memory", limit=500) == (False, "unknown")
    executor.run(command(spec, "process.start"))
    ok, code = await seen(spec, kind="memory", limit=500)
    assert ok
    assert 1 <= int(code.removeprefix("mib_")) <= 500
    assert (await seen(spec, kind="memory", limit=0.5))[0] is False


ANSWERS = {
    "an active unit": ("systemd", "systemd", ("is-active", "active\n", 0), (True, "active")),
    "a failed unit": ("systemd", "systemd", ("is-active", "failed\n", 3), (False, "failed")),
    "a running container": ("docker", "container", ("inspect", "running \n", 0), (True, "running")),
    "a healthy container": ("docker", "container", ("inspect", "running healthy\n", 0), (True, "running")),
    "an unhealthy container": ("docker", "container", ("inspect", "running unhealthy\n", 0), (False, "unhealthy")),
    "an exited container": ("docker", "container", ("inspect", "exited \n", 0), (False, "exited")),
    "no container": ("docker", "container", ("inspect", "No such object\n", 1), (False, "no_container")),
    "memory of a unit": ("systemd", "memory", ("MemoryCurrent", "209715200\n", 0), (True, "mib_200")),
    "too much memory of a unit": ("systemd", "memory", ("MemoryCurrent", "509715200\n", 0), (False, "mib_486")),
    "memory that a unit does not count": (
        "systemd",
        "memory",
        ("MemoryCurrent", "[not set]", 0),
        (False, "unknown"),
    ),
    "memory of a container": ("docker", "memory", ("stats", "12.5MiB / 1.9GiB\n", 0), (True, "mib_12")),
    "memory of no container": ("docker", "memory", ("stats", "No such container\n", 1), (False, "unknown")),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_managers_are_asked(root: Path, name: str) -> None:
    """What systemctl and docker answer is read as up or down, with their own word as the code."""
    service_type, kind, answer, wanted = ANSWERS[name]
    recorded = Tools(root)
    recorded.answer(answer)
    assert await seen(spec_of(service_type), str(recorded.path), kind=kind, limit=300) == wanted


def test_a_probe_names_the_program_that_it_needs(root: Path) -> None:
    """A probe that this host can't make is known before it is begun."""
    recorded = Tools(root)
    for name in ("systemctl", "docker"):
        (recorded.path / name).unlink()
    wanted = {("systemd", "systemd"): "systemctl", ("docker", "container"): "docker", ("docker", "memory"): "docker"}
    for (service_type, kind), tool in wanted.items():
        probe = ProbeSpec(kind=kind, limit=1)
        assert missing_tool(spec_of(service_type), probe, str(recorded.path)) in {tool, ""}
        (recorded.path / tool).write_text("#!/bin/sh\n")
        (recorded.path / tool).chmod(0o755)
        assert missing_tool(spec_of(service_type), probe, str(recorded.path)) == ""
        (recorded.path / tool).unlink()
    assert missing_tool(SPEC, ProbeSpec(kind="disk", limit=1)) == ""
