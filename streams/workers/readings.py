"""What this host shows of itself: processors, memory, file systems, temperatures, Logmend's own processes, the broker.

A reading is one of the twelve health metrics (``streams/catalogue/metrics.toml``), in its unit there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil
from msgspec import Struct

from streams.runtime.readiness import read_process
from streams.workers import filesystems
from streams.workers.processors import Processors

CONNECT_SECONDS: Final = 2.0
SENSORS_MAX: Final = 64
CELSIUS_POSSIBLE: Final = range(-50, 200)
"""What a sensor shows beyond this is no temperature; missing ones show -128 or 255."""


class Reading(Struct, frozen=True):
    """One value; ``of`` says of which file system or sensor (``""``: of the host)."""

    metric: str
    value: float
    of: str = ""


def readings(processors: Processors) -> list[Reading]:
    """Read everything once."""
    return [
        Reading("cpu", processors.busy_percent()),
        Reading("memory", psutil.virtual_memory().percent),
        *_disks(),
        *_temperatures(),
    ]


def _disks() -> list[Reading]:
    found = []
    for mount in filesystems.mounts():
        with contextlib.suppress(OSError):  # unmounted meanwhile, or not ours to look at
            found.append(Reading("disk", round(filesystems.used_percent(mount.path), 1), mount.path))
    return found


def _temperatures() -> list[Reading]:
    return [
        Reading("temperature", sensor.current, f"{chip} {sensor.label}".strip())
        for chip, sensors in psutil.sensors_temperatures().items()
        for sensor in sensors
        if int(sensor.current) in CELSIUS_POSSIBLE
    ][:SENSORS_MAX]


def own_processes(data_dir: Path) -> dict[str, bool]:
    """Return which processes said in this data directory that they are ready, and whether each one still runs."""
    found = {path.stem: read_process(path) for path in sorted((data_dir / "run").glob("*.json"))}
    return {name: process.alive for name, process in found.items() if process is not None}


async def silent_brokers(brokers: str) -> tuple[Sequence[str], int]:
    """Return which of the brokers (``host:port,...``) accept no connection, and how many there are."""
    addresses = brokers.split(",")
    answers = await asyncio.gather(*map(_accepts, addresses))
    return [address for address, accepted in zip(addresses, answers, strict=True) if not accepted], len(addresses)


async def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, ValueError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
