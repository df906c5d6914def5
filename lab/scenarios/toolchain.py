"""Toolchain: six components that break some two dozen times in seven ways, several at a time, as in seed 001.

Performance is the most frequent category, and the shader pipeline fails most often. What is severe enough for a team
of specialists gets one; between them the breakages call for all four ways of working together.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from analytics.views import EventLog
from lab.demo import WARM_UP_S, archived
from lab.display import Display
from lab.inventory import LAB_POLICY
from lab.run import run_track
from lab.scenarios.frame import Claim, Report, Table
from lab.scenarios.teams import RUNNING_SECONDS_MAX, Way, let_go, slowest, specialists, ways, ways_table
from lab.scenarios.workshop import KINDS, Breakage, Component, Workshop
from lab.session import Lab, background, running
from lab.timeline import Story
from streams.core.teams import WAYS
from streams.settings import Settings

POLICY: Final = replace(LAB_POLICY, verify_after_ms=2_000, stay_away_ms=3_000, exploration_rate=0.0)
TRACKS_AT_ONCE: Final = 3
"""Components that are broken at one time."""
HEAL_S: Final = 35.0
TRAFFIC_EVERY_S: Final = 0.25
SHOW_S: Final = 0.25
SLOW, MIRROR, FILES = "performance_degradation", "service_dependency", "resource_exhaustion"
DAMAGED, CRASHED, CONFIGURATION, STORE = (
    "data_corruption",
    "process_crash",
    "configuration_error",
    "database_connection",
)
COURSE: Final[Mapping[str, tuple[str, ...]]] = {
    "shader_pipeline": (SLOW, DAMAGED, SLOW, FILES, CRASHED, SLOW, CONFIGURATION),
    "build_pipeline": (MIRROR, SLOW, FILES, SLOW, CRASHED),
    "runtime": (SLOW, MIRROR, CRASHED, DAMAGED),
    "developer_tools": (CONFIGURATION, MIRROR, SLOW, CRASHED),
    "orchestrator": (MIRROR, SLOW, FILES),
    "versioning": (STORE, SLOW, DAMAGED),
}
"""What happens to each component, one after the other: 26 breakages, of which 9 are of performance."""


class Breakdown(Struct, frozen=True, kw_only=True):
    """One breakage and what became of it. Seconds are from the injection on."""

    component: str
    kind: str
    category: str
    seen: tuple[str, ...]
    actions: tuple[str, ...]
    strategy: str
    detected_seconds: float | None
    decided_seconds: float | None
    recovered_seconds: float | None
    verified_seconds: float | None
    healed: bool
    note: str


class Toolchain(Report, frozen=True, kw_only=True):
    """All breakages, and the statistics of how specialists were coordinated."""

    breakdowns: tuple[Breakdown, ...]
    ways: tuple[Way, ...]
    running_seconds: float | None
    """The longest time from a decision to bring a specialist up until it ran."""
    specialists: int

    def tables(self) -> tuple[Table, ...]:
        """Return the breakages and the ways of coordination."""
        return (_breakdowns_table(self.breakdowns), ways_table(self.ways))


def _breakdowns_table(found: Sequence[Breakdown]) -> Table:
    columns = ("component", "breakage", "seen as", "done", "detected", "decided", "works", "verified", "")
    rows = tuple(
        (
            one.component,
            one.kind,
            ", ".join(one.seen),
            ", ".join(one.actions),
            *(_seconds(value) for value in (one.detected_seconds, one.decided_seconds)),
            *(_seconds(value) for value in (one.recovered_seconds, one.verified_seconds)),
            "healed" if one.healed else f"NOT healed: {one.note}",
        )
        for one in found
    )
    return Table(title="Breakages", columns=columns, rows=rows)


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


async def run(settings: Settings, display: Display, course: Mapping[str, Sequence[str]] = COURSE) -> Toolchain:
    """Break the toolchain's components as ``course`` says, and return what came of it (under four minutes)."""
    began = time.monotonic()
    workshop = Workshop()
    with display:
        async with running(settings, display.phase, POLICY, (), invite=workshop.invited) as lab:
            tracks = _tracks(workshop, course)
            stories = {one.name: Story(fault=one.name, service=one.service) for track in tracks for one in track}
            async with background() as tasks:
                for component in workshop.components.values():
                    tasks(_traffic(component))
                tasks(_show(display, lab, stories))
                await asyncio.sleep(WARM_UP_S)
                display.phase(f"{len(stories)} breakages, up to {TRACKS_AT_ONCE} at a time")
                await _break(lab, tracks, stories)
            display.phase("waiting until the event log holds it all")
            await archived(lab)
            await let_go(lab)
            with EventLog(lab.settings.data_dir / "log") as log:
                found, by_way = specialists(log, lab.seq), ways(log)
            decisions = list(lab.watch.decisions)
            display.phase("stopping")
    breakdowns = tuple(_breakdown(one, stories[one.name]) for track in tracks for one in track)
    strategies = Counter(one.strategy for one in decisions if one.kind == "planned")
    running_seconds = slowest(found)
    return Toolchain(
        scenario="toolchain",
        seconds=round(time.monotonic() - began, 1),
        claims=_claims(breakdowns, strategies, running_seconds),
        breakdowns=breakdowns,
        ways=by_way,
        running_seconds=running_seconds,
        specialists=len(found),
    )


def _tracks(workshop: Workshop, course: Mapping[str, Sequence[str]]) -> tuple[tuple[Breakage, ...], ...]:
    """Return a track for each component; the longest come first."""
    number = 0
    tracks = []
    for name, kinds in course.items():
        track = []
        for kind in kinds:
            number += 1
            track.append(KINDS[kind](workshop.components[name], number))
        tracks.append(tuple(track))
    return tuple(sorted(tracks, key=len, reverse=True))


async def _break(lab: Lab, tracks: Sequence[Sequence[Breakage]], stories: Mapping[str, Story]) -> None:
    room = asyncio.Semaphore(TRACKS_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        for track in tracks:
            group.create_task(run_track(track, lab.watch, stories, room, HEAL_S))


async def _traffic(component: Component) -> None:
    """Ask for a job a few times a second, as those who use the component do."""
    while True:
        await asyncio.to_thread(component.works)
        await asyncio.sleep(TRAFFIC_EVERY_S)


async def _show(display: Display, lab: Lab, stories: Mapping[str, Story]) -> None:
    while True:
        display.update(stories.values(), 0, 0, len(lab.watch.decisions))
        await asyncio.sleep(SHOW_S)


def _breakdown(one: Breakage, story: Story) -> Breakdown:
    return Breakdown(
        component=one.service,
        kind=one.kind,
        category=one.category,
        seen=tuple(story.seen),
        actions=tuple(story.actions),
        strategy="",
        detected_seconds=story.seconds(story.detected_ms),
        decided_seconds=story.seconds(story.decided_ms),
        recovered_seconds=story.seconds(story.recovered_ms),
        verified_seconds=story.seconds(story.verified_ms),
        healed=story.healed,
        note=story.note,
    )


def _claims(
    breakdowns: Sequence[Breakdown], strategies: Counter[str], running_seconds: float | None
) -> tuple[Claim, ...]:
    healed = sum(one.healed for one in breakdowns)
    return (
        Claim(
            says="all components are healed each time, and that is verified",
            found=f"{healed} of {len(breakdowns)} breakages",
            holds=healed == len(breakdowns),
        ),
        Claim(
            says="specialists are coordinated in all four ways",
            found=", ".join(f"{way} {strategies[way]}" for way in WAYS),
            holds=all(strategies[way] for way in WAYS),
        ),
        Claim(
            says=f"from the decision to a running specialist: under {RUNNING_SECONDS_MAX:g} s, each of them",
            found=f"{running_seconds} s at most",
            holds=running_seconds is not None and running_seconds < RUNNING_SECONDS_MAX,
        ),
    )
