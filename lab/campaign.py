"""``logmend lab``: faults injected run after run, and how each was detected, decided, healed and verified."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from lab import control
from lab.demo import REFRESH_S, WARM_UP_S, archived
from lab.display import Display
from lab.faults import FAULTS
from lab.inventory import LAB_POLICY
from lab.run import run_faults
from lab.score import LabReport, Mode, scored
from lab.session import background, running, standing, traffic, visited
from lab.site import API, DEMO_SERVICES, PROXY, SERVICES, Site
from lab.timeline import Story
from lab.watch import Watch
from streams.core.errors import InputError
from streams.settings import Settings

HEAL_S: Final = 75.0
"""Time for three attempts under the lab's policy."""


async def run_lab(
    settings: Settings, display: Display, names: Sequence[str], *, mode: Mode = "healing", runs: int = 1
) -> LabReport:
    """Inject the named faults ``runs`` times each and return what came of it.

    ``halted``: all is decided, nothing is done. ``control``: none of Logmend's processes runs. ``InputError`` says in
    one line why it can't run. Nothing that was started is left, however it ends.
    """
    unknown = [name for name in names if name not in FAULTS]
    if unknown or not names:
        raise InputError(f"no fault is called {', '.join(unknown) or 'so'}; there are {', '.join(FAULTS)}")
    began = time.monotonic()
    stories: list[Story] = []
    with display:
        if mode == "control":
            await _unattended(settings, display, names, runs, stories)
        else:
            await _attended(settings, display, names, runs, stories, mode)
    return scored(
        mode,
        stories,
        runs=runs,
        seconds=time.monotonic() - began,
        verify_ms=LAB_POLICY.verify_after_ms,
        away_ms=LAB_POLICY.stay_away_ms,
    )


def needed(names: Sequence[str]) -> tuple[str, ...]:
    """Return the services that faults are about, with those that they depend on, in the order of their start."""
    wanted = {service for name in names for service in (FAULTS[name].service, FAULTS[name].acted_on())}
    if not wanted.isdisjoint((API, PROXY)):
        wanted.update(DEMO_SERVICES)
    return tuple(service for service in SERVICES if service in wanted)


async def _attended(
    settings: Settings, display: Display, names: Sequence[str], runs: int, stories: list[Story], mode: Mode
) -> None:
    async with running(settings, display.phase, LAB_POLICY, needed(names), halted=mode == "halted") as lab:
        await asyncio.sleep(WARM_UP_S)
        await _repeat(lab.site, lab.watch, display, names, runs, stories, alone=mode == "halted")
        display.phase("waiting until the event log holds it all")
        await archived(lab)
        display.phase("stopping")


async def _unattended(
    settings: Settings, display: Display, names: Sequence[str], runs: int, stories: list[Story]
) -> None:
    async with standing(settings, needed(names)) as site, background() as tasks:
        display.phase("starting the lab's services, and nothing of Logmend")
        await asyncio.to_thread(control.start_all, site)
        for service in visited(site):
            tasks(traffic(site, service))
        await _repeat(site, None, display, names, runs, stories, alone=True)
        display.phase("stopping")


async def _repeat(
    site: Site,
    watch: Watch | None,
    display: Display,
    names: Sequence[str],
    runs: int,
    stories: list[Story],
    *,
    alone: bool,
) -> None:
    for run in range(1, runs + 1):
        display.phase(f"injecting {len(names)} faults, run {run} of {runs}")
        told = {name: Story(fault=name, service=FAULTS[name].service, run=run) for name in names}
        stories.extend(told.values())
        showing = asyncio.create_task(_show(display, watch, stories))
        try:
            await run_faults(site, watch, told, alone=alone, heal_s=HEAL_S)
        finally:
            showing.cancel()
        display.update(stories, 0, 0, len(watch.decisions) if watch else 0)


async def _show(display: Display, watch: Watch | None, stories: list[Story]) -> None:
    while True:
        display.update(stories, 0, 0, len(watch.decisions) if watch else 0)
        await asyncio.sleep(REFRESH_S)
