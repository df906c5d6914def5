"""Breaks the lab's services and watches what becomes of it: healed by Logmend, or left broken while it is halted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from lab.faults import Fault, FaultError, make, now_ms
from lab.health import wait_until
from lab.site import WORKER, Site
from lab.timeline import Story
from lab.watch import Watch

HEAL_S: Final = 35.0
"""A fault that is not healed and verified after this long counts as not healed."""
HALTED_S: Final = 8.0
"""With the kill switch on, a fault is watched for this long: twice what a decision takes at most."""
SETTLE_S: Final = 10.0
LOOK_S: Final = 0.2


def tracks(names: Sequence[str], site: Site) -> tuple[tuple[Fault, ...], ...]:
    """Return the faults in two tracks that may run side by side: the worker's, and those of API and proxy.

    Within a track one follows the other: a proxy whose API is down shows that one's fault, not its own.
    """
    faults = [make(name, site) for name in names]
    alone = tuple(fault for fault in faults if fault.service == WORKER)
    chained = tuple(fault for fault in faults if fault.service != WORKER)
    return tuple(track for track in (alone, chained) if track)


async def run_faults(site: Site, watch: Watch, stories: dict[str, Story], *, halted: bool = False) -> None:
    """Inject the faults that ``stories`` names and fill the stories in; returns when the last one is over."""
    async with asyncio.TaskGroup() as group:
        for track in tracks(tuple(stories), site):
            group.create_task(_run_track(track, watch, stories, halted=halted))


async def _run_track(track: Sequence[Fault], watch: Watch, stories: dict[str, Story], *, halted: bool) -> None:
    for fault in track:
        try:
            await _run_one(fault, watch, stories[fault.name], halted=halted)
        finally:
            fault.tidy()


async def _run_one(fault: Fault, watch: Watch, story: Story, *, halted: bool) -> None:
    if not await asyncio.to_thread(wait_until, fault.site, fault.service, healthy=True, timeout_s=SETTLE_S):
        story.note = f"not injected: {fault.service} was not healthy before"
        return
    try:
        await asyncio.to_thread(fault.inject, "lab")
    except FaultError as error:
        story.note = str(error)
        return
    story.injected_ms = fault.since_ms
    watch.follow(story)
    await (_see_it_stay(fault, story) if halted else _see_it_heal(fault, story))


async def _see_it_heal(fault: Fault, story: Story) -> None:
    """Use the service until it works again and the log says so; undo the fault only when that takes too long."""
    deadline = asyncio.get_running_loop().time() + HEAL_S
    while not story.healed and asyncio.get_running_loop().time() < deadline:
        if not story.recovered_ms and await asyncio.to_thread(fault.is_healthy):
            story.recovered_ms = now_ms()
        await asyncio.sleep(LOOK_S)
    if story.healed and not await asyncio.to_thread(fault.is_healthy):
        story.recovered_ms, story.note = 0, "verified, but broken again"
    if not story.healed:
        story.note = story.note or _what_is_missing(story)
        await asyncio.to_thread(fault.undo, f"lab: not healed within {HEAL_S:.0f} s")


async def _see_it_stay(fault: Fault, story: Story) -> None:
    """Use the service again and again: it must stay broken until the lab itself undoes the fault."""
    deadline = asyncio.get_running_loop().time() + HALTED_S
    while asyncio.get_running_loop().time() < deadline:
        if await asyncio.to_thread(fault.is_healthy):
            story.recovered_ms, story.note = now_ms(), "healed although action is halted"
            return
        await asyncio.sleep(LOOK_S)
    story.stayed_broken = not story.actions
    await asyncio.to_thread(fault.undo, "lab: end of the watch with the kill switch on")


def _what_is_missing(story: Story) -> str:
    for moment_ms, missing in (
        (story.detected_ms, "not detected"),
        (story.decided_ms, "no action decided"),
        (story.recovered_ms, "the action did not make it work"),
    ):
        if not moment_ms:
            return missing
    return "works, but was not verified in time"
