"""One look at a service, by each kind of probe (``inventory.ProbeSpec`` says what each one asks).

A look never raises for what is wrong with the service: that is what it is for. Programs of the host (systemctl, docker)
are asked in a thread of their own.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from streams.core.inventory import ProbeSpec, ServiceSpec
from streams.workers import filesystems, proc, running, tools
from streams.workers.connections import address_of, hang_up
from streams.workers.results import Surroundings
from streams.workers.units import SYSTEMCTL

STATUS_LINE_MAX: Final = 1_024
MEBIBYTE: Final = 1 << 20
SUCCESS: Final = range(200, 400)
CODE_MAX: Final = 40

Seen = tuple[bool, str]
"""(ok, short code)."""


class Look(NamedTuple):
    """What one probe saw."""

    ok: bool
    code: str
    latency_ms: int


async def look(spec: ServiceSpec, probe: ProbeSpec, tool_path: str = "") -> Look:
    """Probe a service once; never raises for what is wrong with it. ``tool_path`` as in ``Surroundings``."""
    if probe.kind == "certificate":  # few services have one; loading what reads it is no part of the look
        await asyncio.to_thread(import_module, "streams.workers.certificates")
    began = time.monotonic()
    try:
        async with asyncio.timeout(probe.timeout_ms / 1000):
            if probe.kind in _ASKING:
                around = Surroundings(checkpoints="", tool_path=tool_path)
                ok, code = await asyncio.to_thread(_ASKING[probe.kind], spec, probe, around)
            else:
                ok, code = await _LOOKING[probe.kind](spec, probe)
    except TimeoutError:
        ok, code = False, "timed_out"
    except ConnectionRefusedError:
        ok, code = False, "refused"
    except (OSError, ValueError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
        ok, code = False, "no_answer"
    return Look(ok, code, round((time.monotonic() - began) * 1000))


def missing_tool(spec: ServiceSpec, probe: ProbeSpec, tool_path: str = "") -> str:
    """Return the program that a probe needs and this host does not have; ``""`` when it can be made."""
    needed = {"systemd": "systemctl", "container": "docker"}.get(probe.kind, "")
    if probe.kind == "memory" and spec.type != "process":
        needed = "docker" if spec.type == "docker" else "systemctl"
    return needed if needed and not tools.find(needed, tool_path) else ""


# ------------------------------------------------------------------------------------------------- by our own eyes


async def _process(spec: ServiceSpec, probe: ProbeSpec) -> Seen:  # noqa: ARG001 - all kinds are called alike
    current = running.find(spec)
    status = proc.status_of_identity(current.identity) if current else None
    if status is None:
        return False, "down"
    return (False, "stopped") if status.state in proc.STOPPED else (True, "up")


async def _tcp(spec: ServiceSpec, probe: ProbeSpec) -> Seen:
    host, port = address_of(probe.target or f"127.0.0.1:{spec.port}")
    _, writer = await asyncio.open_connection(host, port)
    await hang_up(writer)
    return True, "up"


async def _http(spec: ServiceSpec, probe: ProbeSpec) -> Seen:
    """Send one GET and read the status line; redirects are not followed, and count as an answer."""
    parts = urlsplit(probe.target if "://" in probe.target else spec.base_url.rstrip("/") + probe.target)
    if not parts.hostname:
        return False, "no_address"
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or (443 if secure else 80), ssl=secure, limit=STATUS_LINE_MAX
    )
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: logmend\r\nConnection: close\r\n\r\n"
        writer.write(request.encode("ascii"))
        version, status, *_ = (await reader.readuntil(b"\n")).split()
        if not version.startswith(b"HTTP/"):
            return False, "no_http"
        return int(status) in SUCCESS, str(int(status))
    finally:
        await hang_up(writer)


async def _certificate(spec: ServiceSpec, probe: ProbeSpec) -> Seen:  # noqa: ARG001 - all kinds are called alike
    """Say for how many days a certificate is still valid: one in a file, or the one that a server shows."""
    from streams.workers.certificates import certificate_of, days_left  # noqa: PLC0415 - loaded by then

    found = await certificate_of(probe.target)
    days = days_left(found)
    if days < 0:
        return False, "expired"
    if found.not_valid_before_utc > datetime.now(UTC):
        return False, "not_yet_valid"
    return days >= probe.limit, f"days_{int(days)}"


async def _disk(spec: ServiceSpec, probe: ProbeSpec) -> Seen:
    """Say how many percent of a file system are used, of its room or of its inodes; whichever is more."""
    used = filesystems.used_percent(probe.target or spec.cwd or "/")
    return used <= probe.limit, f"used_{used:.0f}"


# -------------------------------------------------------------------------------------------- by asking a manager


def _systemd(spec: ServiceSpec, probe: ProbeSpec, around: Surroundings) -> Seen:
    ran = tools.ask((*SYSTEMCTL, "is-active", "--", spec.unit), probe.timeout_ms, around)
    return not ran.code, _word(ran.output or ran.code)


def _container(spec: ServiceSpec, probe: ProbeSpec, around: Surroundings) -> Seen:
    """Ask for the state, and for the health that the image checks by itself, if it does."""
    shown = "--format={{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}"
    ran = tools.ask(("docker", "inspect", "--type=container", shown, "--", spec.container), probe.timeout_ms, around)
    if ran.code:
        return False, "no_container" if ran.code != "timed_out" else ran.code
    state, _, health = ran.output.partition(" ")
    return state == "running" and health != "unhealthy", _word(health if health == "unhealthy" else state)


def _memory(spec: ServiceSpec, probe: ProbeSpec, around: Surroundings) -> Seen:
    """Say how many MiB the service holds: its process with its children, its unit, or its container."""
    if spec.type == "docker":
        argv = ("docker", "stats", "--no-stream", "--format={{.MemUsage}}", "--", spec.container)
        held = _size(tools.ask(argv, probe.timeout_ms, around).output.partition("/")[0].strip())
    elif spec.unit:
        asked = (*SYSTEMCTL, "show", "--property=MemoryCurrent", "--value", "--", spec.unit)
        said = tools.ask(asked, probe.timeout_ms, around).output
        held = int(said) if said.isdecimal() else -1
    else:
        held = _resident(spec)
    return (held <= probe.limit * MEBIBYTE, f"mib_{held // MEBIBYTE}") if held >= 0 else (False, "unknown")


def _resident(spec: ServiceSpec) -> int:
    current = running.find(spec)
    status = proc.status_of_identity(current.identity) if current else None
    if status is None:
        return -1
    return sum(proc.resident_bytes(member.pid) for member in proc.family_of(status))


UNITS: Final = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def _size(text: str) -> int:
    """Return the bytes of what docker prints, such as ``12.5MiB``; -1 when it is no size."""
    number = text.rstrip("BKMGTik")
    unit = text[len(number) :]
    try:
        return int(float(number) * UNITS[unit])
    except (ValueError, KeyError):
        return -1


def _word(text: str) -> str:
    """Return the first word of what a program printed, short enough to be recorded."""
    return (text.split() or ["unknown"])[0][:CODE_MAX]


_LOOKING: Final[dict[str, Callable[[ServiceSpec, ProbeSpec], Awaitable[Seen]]]] = {
    "process": _process,
    "tcp": _tcp,
    "http": _http,
    "certificate": _certificate,
    "disk": _disk,
}
_ASKING: Final[dict[str, Callable[[ServiceSpec, ProbeSpec, Surroundings], Seen]]] = {
    "systemd": _systemd,
    "container": _container,
    "memory": _memory,
}
