"""Breaks the lab's services and watches what becomes of it: healed by Logmend, or left broken where nothing acts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from lab import control
from lab.faults import Fault, FaultError, make
from lab.site import API, PROXY, Site
from lab.timeline import Story
from lab.watch import Watch
from streams.workers.clock import now_ms

HEAL_S: Final = 35.0
"""A fault that is not healed and verified after this long counts as not healed; of the demo's policy."""
LEFT_ALONE_S: Final = 8.0
"""Where nothing may act, a fault is watched for this long: twice what a decision takes at most."""
SETTLE_S: Final = 10.0
LOOK_S: Final = 0.2
TRACKS_AT_ONCE: Final = 5
"""Broken services at one time; more would be a test of the machine's speed."""
TOGETHER: Final = {PROXY: API}
"""Services whose faults show on one another."""


def tracks(names: Sequence[str], site: Site) -> tuple[tuple[Fault, ...], ...]:
    """Return the faults in tracks that may run side by side: one for each service, but for API and proxy together.

    Within a track one follows the other: a proxy whose API is down shows that one's fault, not its own. The longest
    tracks come first.
    """
    found: dict[str, list[Fault]] = {}
    for name in names:
        fault = make(name, site)
        found.setdefault(TOGETHER.get(fault.service, fault.service), []).append(fault)
    return tuple(sorted(map(tuple, found.values()), key=len, reverse=True))


async def run_faults(
    site: Site, watch: Watch | None, stories: dict[str, Story], *, alone: bool = False, heal_s: float = HEAL_S
) -> None:
    """Inject the faults that ``stories`` names and fill the stories in; returns when the last one is over.

    ``alone``: nothing is to act on them (the kill switch is on, or Logmend does not run, then without a ``watch``).
    """
    room = asyncio.Semaphore(TRACKS_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        for track in tracks(tuple(stories), site):
            group.create_task(run_track(track, watch, stories, room, 0.0 if alone else heal_s))


async def run_track(
    track: Sequence[Fault], watch: Watch | None, stories: Mapping[str, Story], room: asyncio.Semaphore, heal_s: float
) -> None:
    """Inject one fault after the other as soon as there is room, and fill their stories in; 0 s: nothing acts."""
    async with room:
        for fault in track:
            try:
                await _run_one(fault, watch, stories[fault.name], heal_s)
            finally:
                stories[fault.name].over = True
                fault.tidy("lab: after the verdict")


async def _run_one(fault: Fault, watch: Watch | None, story: Story, heal_s: float) -> None:
    story.stand_in = fault.stand_in()
    if not await asyncio.to_thread(control.wait, fault.is_healthy, SETTLE_S):
        story.note = f"not injected: {fault.service} was not healthy before"
        return
    try:
        await asyncio.to_thread(fault.inject, "lab")
    except FaultError as error:
        story.note = str(error)
        return
    story.injected_ms = fault.since_ms
    if watch is not None:
        watch.follow(story)
    await (_see_it_heal(fault, story, heal_s) if heal_s else _see_it_stay(fault, story))


async def _see_it_heal(fault: Fault, story: Story, heal_s: float) -> None:
    """Use the service until it works again and the log says so; undo the fault when a person is asked, or at last."""
    deadline = asyncio.get_running_loop().time() + heal_s
    while not story.healed and not story.escalated and asyncio.get_running_loop().time() < deadline:
        if not story.recovered_ms and await asyncio.to_thread(fault.is_healthy):
            story.recovered_ms = now_ms()
        await asyncio.sleep(LOOK_S)
    if story.healed and not await asyncio.to_thread(fault.is_healthy):
        story.recovered_ms, story.note = 0, "verified, but broken again"
    if not story.healed:
        story.note = story.note or _what_is_missing(story)
        why = "a person is asked for" if story.escalated else f"not healed within {heal_s:.0f} s"
        await asyncio.to_thread(fault.undo, f"lab: {why}")


async def _see_it_stay(fault: Fault, story: Story) -> None:
    """Use the service again and again: it must stay broken until the lab itself undoes the fault."""
    deadline = asyncio.get_running_loop().time() + LEFT_ALONE_S
    while asyncio.get_running_loop().time() < deadline:
        if await asyncio.to_thread(fault.is_healthy):
            story.recovered_ms, story.note = now_ms(), "works again although nothing acted"
            return
        await asyncio.sleep(LOOK_S)
    story.stayed_broken = not story.actions
    await asyncio.to_thread(fault.undo, "lab: end of the watch over what nothing acts on")


def _what_is_missing(story: Story) -> str:
    for moment_ms, missing in (
        (story.detected_ms, "not detected"),
        (story.decided_ms, "no action decided"),
        (story.recovered_ms, "the action did not make it work"),
    ):
        if not moment_ms:
            return missing
    return "works, but was not verified in time"
