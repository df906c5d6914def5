"""Toolchain: six components that break some two dozen times in seven ways, several at a time, as in seed 001.

Performance is the most frequent category, and the shader pipeline fails most often. What is severe enough for a team
of specialists gets one; between them the breakages call for all four ways of working together.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from analytics.views import EventLog
from lab import in_process
from lab.demo import WARM_UP_S, archived
from lab.display import Display
from lab.inventory import LAB_POLICY
from lab.run import run_track
from lab.scenarios.figures import Figure, Storm, alone, by_strategy, of_errors, of_storm, on_kafka, table_of
from lab.scenarios.frame import Claim, Report, Table
from lab.scenarios.teams import RUNNING_CLAIM, RUNNING_SECONDS_MAX, Way, let_go, slowest, specialists, ways, ways_table
from lab.scenarios.workshop import KINDS, Breakage, Component, Workshop
from lab.session import Lab, background, running
from lab.shipper import outgoing
from lab.timeline import Course, Story
from streams.catalogue.actions import actions
from streams.core.events import Decision
from streams.core.teams import WAYS
from streams.settings import Settings
from streams.workers.clock import now_ms

POLICY: Final = replace(LAB_POLICY, verify_after_ms=2_000, stay_away_ms=3_000, exploration_rate=0.0)
FIGURES_CLAIM: Final = "every figure of seed 001 that there is one of ours for is bettered"
TRACKS_AT_ONCE: Final = 3
"""Components that are broken at one time."""
HEAL_S: Final = 35.0
TRAFFIC_EVERY_S: Final = 0.25
SHOW_S: Final = 0.25
STORM_PER_S: Final = 1_000
STORM_STEPS_PER_S: Final = 10
COUNTED_S: Final = 20.0
MEASURED_S: Final = 120.0
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


class Breakdown(Course, frozen=True, kw_only=True):
    """One breakage and what became of it."""

    component: str
    kind: str
    category: str
    healed: bool
    note: str


class Toolchain(Report, frozen=True, kw_only=True):
    """All breakages, and the statistics of how specialists were coordinated."""

    breakdowns: tuple[Breakdown, ...]
    ways: tuple[Way, ...]
    running_seconds: float | None
    """The longest time from a decision to bring a specialist up until it ran."""
    specialists: int
    storm: Storm
    figures: tuple[Figure, ...]

    def tables(self) -> tuple[Table, ...]:
        """Return the breakages, the ways of coordination, and the seed's figures beside ours."""
        return (_breakdowns_table(self.breakdowns), ways_table(self.ways), table_of(self.figures))


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


class Extent(Struct, frozen=True, kw_only=True):
    """How much of it there is: breakages by component, seconds of steady errors, errors within one process."""

    course: Mapping[str, tuple[str, ...]]
    storm_seconds: int
    errors: int


WHOLE: Final = Extent(course=COURSE, storm_seconds=10, errors=in_process.ERRORS)


async def run(settings: Settings, display: Display, extent: Extent = WHOLE) -> Toolchain:
    """Break the toolchain's components, and return what came of it (under three minutes)."""
    began = time.monotonic()
    workshop = Workshop()
    with display:
        async with running(settings, display.phase, POLICY, (), invite=workshop.invited) as lab:
            tracks = _tracks(workshop, extent.course)
            stories = {one.name: Story(fault=one.name, service=one.service) for track in tracks for one in track}
            async with background() as tasks:
                for component in workshop.components.values():
                    tasks(_traffic(component))
                tasks(_show(display, lab, stories))
                await asyncio.sleep(WARM_UP_S)
                display.phase(f"{len(stories)} breakages, up to {TRACKS_AT_ONCE} at a time")
                await _break(lab, tracks, stories)
                display.phase(f"{STORM_PER_S:,} errors a second for {extent.storm_seconds} s")
                storm = await _storm(lab, extent.storm_seconds)
            display.phase("waiting until the event log holds it all")
            await archived(lab)
            await let_go(lab)
            with EventLog(lab.settings.data_dir / "log") as log:
                found, by_way = specialists(log, lab.seq), ways(log)
                recoveries = on_kafka(log, lab.seq)
            decisions = [one for one in lab.watch.decisions if one.service in workshop.components]
            display.phase("stopping")
        display.phase("measuring what it takes in one process")
        measured = await _alone(extent.errors)
    breakdowns = tuple(_breakdown(one, stories[one.name]) for track in tracks for one in track)
    figures = (*alone(measured), recoveries, of_storm(storm), *_of_run(decisions, breakdowns))
    return Toolchain(
        scenario="toolchain",
        seconds=round(time.monotonic() - began, 1),
        claims=(*_claims(breakdowns, decisions, slowest(found)), claim_of_figures(figures)),
        breakdowns=breakdowns,
        ways=by_way,
        running_seconds=slowest(found),
        specialists=len(found),
        storm=storm,
        figures=figures,
    )


async def _alone(errors: int) -> in_process.Figures:
    """Measure in a process of its own what Logmend's code takes without a broker."""
    asked = (sys.executable, "-m", "lab.in_process", str(errors))
    process = await asyncio.create_subprocess_exec(*asked, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(MEASURED_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{' '.join(asked[1:])} ended with {process.returncode}")
    return msgspec.json.decode(said, type=in_process.Figures)


async def _storm(lab: Lab, seconds: int) -> Storm:
    """Ship errors of a service that is in no inventory at a steady rate; see how many of them are counted."""
    name = f"storm-{time.time_ns() // 1_000_000_000 % 1_000_000}"
    topic, shipped, last_ms = lab.settings.logs[0], 0, 0
    began = time.monotonic()
    for step in range(1, seconds * STORM_STEPS_PER_S + 1):
        lines = [
            f"ERROR request {shipped + place} failed: upstream service number-{place % 7} is unavailable".encode()
            for place in range(STORM_PER_S // STORM_STEPS_PER_S)
        ]
        last_ms = now_ms()
        await lab.log.append(outgoing(topic, lab.partitions, name, lines))
        shipped += len(lines)
        await asyncio.sleep(max(0.0, began + step / STORM_STEPS_PER_S - time.monotonic()))
    took_s = time.monotonic() - began
    counted, recorded = await _counted(lab, name, shipped)
    return Storm(
        per_second=STORM_PER_S,
        seconds=seconds,
        took_seconds=round(took_s, 2),
        shipped=shipped,
        counted=counted,
        behind_seconds=(recorded - last_ms) / 1000 if counted == shipped else None,
    )


async def _counted(lab: Lab, service: str, wanted: int) -> tuple[int, int]:
    """Wait until the event log has so many lines of a service; return how many, and when (ms) the last were counted."""
    sql = (
        "SELECT coalesce(sum(lines), 0), coalesce(max(epoch_ms(recorded_at)), 0) FROM tallies WHERE service = $service"
    )
    deadline = time.monotonic() + COUNTED_S
    with EventLog(lab.settings.data_dir / "log") as log:
        while True:
            counted, recorded_ms = log.query(sql, {"service": service}).row(0)
            if counted >= wanted or time.monotonic() > deadline:
                return int(counted), int(recorded_ms)
            await asyncio.sleep(SHOW_S)


def _of_run(decisions: Sequence[Decision], breakdowns: Sequence[Breakdown]) -> tuple[Figure, ...]:
    opened = [one for one in decisions if one.kind == "incident_opened"]
    classified = sum(one.kind in one.seen for one in breakdowns)
    called_for = {actions()[KINDS[one.kind].heals].strategy for one in breakdowns}
    return (*by_strategy(decisions, called_for), *of_errors(opened, classified, len(breakdowns)))


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
        **story.course(),
        healed=story.healed,
        note=story.note,
    )


def _claims(
    breakdowns: Sequence[Breakdown], decisions: Sequence[Decision], running_seconds: float | None
) -> tuple[Claim, ...]:
    healed = sum(one.healed for one in breakdowns)
    planned = Counter(one.strategy for one in decisions if one.kind == "planned")
    return (
        Claim(
            says="all components are healed each time, and that is verified",
            found=f"{healed} of {len(breakdowns)} breakages",
            holds=0 < healed == len(breakdowns),
        ),
        Claim(
            says="specialists are coordinated in all four ways",
            found=", ".join(f"{way} {planned[way]}" for way in WAYS),
            holds=all(planned[way] for way in WAYS),
        ),
        Claim(
            says=RUNNING_CLAIM,
            found=f"{running_seconds} s at most",
            holds=running_seconds is not None and running_seconds < RUNNING_SECONDS_MAX,
        ),
    )


def claim_of_figures(figures: Sequence[Figure]) -> Claim:
    """Return the claim that each figure that can be compared is better than the seed's; none at all is no evidence."""
    compared = [one for one in figures if one.better is not None]
    worse = [f"{one.figure}: {one.ours} beside {one.seed}" for one in compared if not one.better]
    return Claim(
        says=FIGURES_CLAIM,
        found="; ".join(worse) or f"{len(compared)} of {len(compared)}",
        holds=bool(compared) and not worse,
    )
