"""The state of this host's services, as seen from outside them. Probes report; they decide nothing.

A service is looked at every ``SAMPLE_MS`` (or its ``every_ms``, if that is less). What is reported: every change of
state at once with the ``AFTER_CHANGE`` looks that follow it, else one look per ``every_ms``, and all looks in the half
minute after an action, so that verification has its evidence soon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from streams import telemetry
from streams.core.config import Inventory, canonical
from streams.core.events import ProbeReported
from streams.core.inventory import ProbeSpec, ServiceSpec
from streams.workers import checkpoints
from streams.workers.clock import now_ms
from streams.workers.looks import Look, look, missing_tool

SAMPLE_MS: Final = 1_000
SAMPLE_MIN_MS: Final = 100
AFTER_CHANGE: Final = 3
BOOST_MS: Final = 30_000
BOOST_EVERY_MS: Final = 500
GOOD_AFTER_MS: Final = 10_000
"""A service whose probes are green for this long has a configuration worth a checkpoint."""

Report = Callable[[ProbeReported], Awaitable[None]]


class Reporter:
    """Decides which looks of one probe are worth a report."""

    def __init__(self, every_ms: int) -> None:
        self._every_ms = every_ms
        self._last: tuple[bool, str] | None = None
        self._reported_ms = 0
        self._extra = 0

    def worth(self, seen: Look, now_ms: int, boosted_until_ms: int) -> bool:
        """Say whether to report a look. Times are of one clock."""
        state = (seen.ok, seen.code)
        if state != self._last:
            self._last, self._extra = state, AFTER_CHANGE + 1
        due = now_ms - self._reported_ms >= self._every_ms
        worth = self._extra > 0 or due or now_ms < boosted_until_ms
        self._extra = max(self._extra - 1, 0)
        if worth:
            self._reported_ms = now_ms
        return worth


class Probes:
    """All probes of this host's services, following the inventory."""

    def __init__(
        self, host: str, checkpoint_dir: Path, skew_ms: Callable[[], int], report: Report, tool_path: str = ""
    ) -> None:
        self._host = host
        self._tool_path = tool_path
        self._told: set[tuple[str, str]] = set()
        self._checkpoint_dir = checkpoint_dir
        self._skew_ms = skew_ms
        self._report = report
        self._boosted_until_ms: dict[str, int] = {}
        self._green_since_ms: dict[str, dict[int, int]] = {}
        self._tasks: dict[tuple[bytes, int], asyncio.Task[None]] = {}

    def boost(self, service: str) -> None:
        """Look at a service more often for a while: an action on it has just ended."""
        self._boosted_until_ms[service] = now_ms() + BOOST_MS
        self._green_since_ms.pop(service, None)

    def follow(self, inventory: Inventory, group: asyncio.TaskGroup) -> None:
        """Begin the probes of services that are new or changed, and end those of services that are gone."""
        wanted = {
            (canonical(spec), number): (spec, probe)
            for spec in inventory.services
            if spec.host == self._host
            for number, probe in enumerate(spec.probes)
            if self._possible(spec, probe)
        }
        for key in [key for key in self._tasks if key not in wanted]:
            self._tasks.pop(key).cancel()
        for key, (spec, probe) in wanted.items():
            if key not in self._tasks:
                self._tasks[key] = group.create_task(self._repeat(spec, probe, key[1]))

    def _possible(self, spec: ServiceSpec, probe: ProbeSpec) -> bool:
        """Say whether this host can make a probe; what it can't is no evidence of anything, and is told once."""
        tool = missing_tool(spec, probe, self._tool_path)
        if tool and (spec.name, tool) not in self._told:
            self._told.add((spec.name, tool))
            telemetry.handled("probe", f"{spec.name}: no {probe.kind} probe, {tool} is not installed on this host")
        return not tool

    def stop(self) -> None:
        """End all probes."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def _repeat(self, spec: ServiceSpec, probe: ProbeSpec, number: int) -> None:
        reporter = Reporter(probe.every_ms)
        while True:
            at_ms = now_ms()
            seen = await look(spec, probe, self._tool_path)
            telemetry.probe_made(probe.kind, ok=seen.ok)
            boosted_until_ms = self._boosted_until_ms.get(spec.name, 0)
            if reporter.worth(seen, at_ms, boosted_until_ms):
                await self._report(self._event(spec, probe, seen, at_ms))
            await self._note_green(spec, number, at_ms, ok=seen.ok)
            every_ms = (
                BOOST_EVERY_MS if at_ms < boosted_until_ms else max(min(SAMPLE_MS, probe.every_ms), SAMPLE_MIN_MS)
            )
            await asyncio.sleep(max(at_ms + every_ms - now_ms(), 10) / 1000)

    def _event(self, spec: ServiceSpec, probe: ProbeSpec, seen: Look, at_ms: int) -> ProbeReported:
        return ProbeReported(
            host=self._host,
            service=spec.name,
            kind=probe.kind,
            ok=seen.ok,
            code=seen.code,
            at_ms=at_ms - self._skew_ms(),
            latency_ms=seen.latency_ms,
        )

    async def _note_green(self, spec: ServiceSpec, number: int, at_ms: int, *, ok: bool) -> None:
        """Keep a checkpoint of a service all of whose probes have been green for a while."""
        green = self._green_since_ms.setdefault(spec.name, {})
        if not ok:
            green.pop(number, None)
            return
        green.setdefault(number, at_ms)
        if not spec.config_files or len(green) < len(spec.probes) or at_ms - max(green.values()) < GOOD_AFTER_MS:
            return
        green.clear()
        try:
            await asyncio.to_thread(checkpoints.take_if_good, spec, self._checkpoint_dir)
        except OSError as error:
            telemetry.handled("checkpoint", f"{spec.name}: {error.strerror}")
