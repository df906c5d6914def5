"""Mix: 40 faults of a toolchain, easy ones, hard ones, and some that nothing helps against, with advisors at hand.

What happens stands in ``lab/data/mix.toml``. The advisors are the real ones: ``logmend advise`` asks a program of this
host (``standins/advisor.py``, which plays a model) what research alone is not sure of. A fault that ends with a person
is repaired by the lab as that person would; its escalation then ends by itself.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from analytics.views import EventLog
from lab.campaign import HEAL_S
from lab.demo import WARM_UP_S, archived
from lab.display import Display
from lab.inventory import LAB_POLICY
from lab.run import run_track
from lab.scenarios.frame import Report, Table
from lab.scenarios.shares import (
    CLAIMED,
    Escalated,
    Phase,
    Verdict,
    claims,
    consulted,
    escalated,
    incidents,
    passed,
    phases,
    times,
)
from lab.scenarios.troubles import TROUBLES
from lab.scenarios.workshop import Breakage, Component, Workshop
from lab.session import Lab, background, running
from lab.standins import advisor
from lab.timeline import Course, Story
from streams.core.advice import ADVISORS
from streams.core.events import Decision
from streams.core.phases import PERSON
from streams.settings import Settings

POLICY: Final = replace(LAB_POLICY, exploration_rate=0.0)
"""Verified after three seconds, ten more without the symptom; nothing is done for the sake of learning."""
STAND_IN: Final = "a program that answers by a simple diagnosis, in place of a model"
TRAFFIC_EVERY_S: Final = 0.25
SHOW_S: Final = 0.25
CALLED: Final = ("model", "none")
"""Sources of opinions for which the model was called: it answered, or it did not, or what it wrote was no answer."""
CLOSED_S: Final = 45.0
"""Longer than an incident that a person has repaired stays open."""


class Kind(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of fault: ``first`` is what the shipped fixes name for what is seen, ``heals`` what really helps."""

    level: Literal["easy", "hard", "unsolvable"]
    first: str
    heals: str
    cause: str


class Mix(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table: all kinds, and what happens to each component, one after the other."""

    kinds: dict[str, Kind]
    course: dict[str, tuple[str, ...]]


class Outcome(Course, frozen=True, kw_only=True):
    """One fault of the mix and what became of it."""

    component: str
    kind: str
    level: str
    phase: int
    """The phase of the incident that it ended in; 0 when there was none."""
    healed: bool
    note: str


class Mixed(Report, frozen=True, kw_only=True):
    """All faults, the phases, the escalations, and how often a model was called."""

    stand_in: str
    outcomes: tuple[Outcome, ...]
    phases: tuple[Phase, ...]
    escalations: tuple[Escalated, ...]
    incidents: int
    opinions: dict[str, int]
    """By where they came from: model, research, cache, none."""
    calls: int
    """Of the model, answered or not."""

    def tables(self) -> tuple[Table, ...]:
        """Return the faults, the shares by phase beside those that are claimed, the escalations and the calls."""
        given = ", ".join(f"{source} {count}" for source, count in self.opinions.items()) or "none"
        rows = (
            ("advisors", f"{len(ADVISORS)} (* {self.stand_in})"),
            ("incidents", self.incidents),
            ("opinions by source", given),
            ("calls of the model", f"{self.calls}, {self.calls / max(self.incidents, 1):.0%} of one per incident"),
        )
        return (
            _outcomes_table(self.outcomes),
            _phases_table(self.phases),
            _escalations_table(self.escalations),
            Table(title="Advisors", columns=("", ""), rows=rows),
        )


def _outcomes_table(found: Sequence[Outcome]) -> Table:
    columns = ("component", "fault", "level", "seen as", "done", "phase", "detected", "works", "verified", "")
    rows = tuple(
        (
            one.component,
            one.kind,
            one.level,
            ", ".join(one.seen),
            ", ".join(action.partition(".")[2] for action in one.actions),
            one.phase or "-",
            *(_seconds(value) for value in (one.detected_seconds, one.recovered_seconds, one.verified_seconds)),
            "healed" if one.healed else one.note,
        )
        for one in found
    )
    return Table(title="Faults", columns=columns, rows=rows)


def _phases_table(found: Sequence[Phase]) -> Table:
    columns = ("phase", "help", "incidents", "attempts", "healed", "share", "claimed", "until healed")
    rows = tuple(
        (
            one.phase,
            one.help,
            one.incidents,
            one.attempts,
            one.healed,
            "-" if one.share is None else f"{one.share:.1%}",
            CLAIMED[one.phase],
            _seconds(one.healed_seconds),
        )
        for one in found
    )
    return Table(title="Phases (the view phase_statistics)", columns=columns, rows=rows)


def _escalations_table(found: Sequence[Escalated]) -> Table:
    columns = ("service", "seen as", "why", "tried", "votes", "evidence", "recommended", "status")
    rows = tuple(
        (
            one.issue_service,
            one.issue_type,
            one.ai_diagnosis,
            one.ai_attempts_count,
            ", ".join(one.votes) or "-",
            one.evidence,
            one.recommended_action or "-",
            one.status,
        )
        for one in found
    )
    return Table(title="Escalations (the view escalations)", columns=columns, rows=rows)


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def load(path: Path = Path(__file__).parent.parent / "data" / "mix.toml") -> Mix:
    """Return the committed mix; ``ValueError`` when it does not fit the faults that there are."""
    mix = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Mix)
    for kind in {*mix.kinds, *(kind for kinds in mix.course.values() for kind in kinds)}:
        if kind not in mix.kinds or kind not in TROUBLES or TROUBLES[kind].heals != mix.kinds[kind].heals:
            raise ValueError(f"{path.name}: {kind} is no fault that is healed so")
    return mix


def advised(settings: Settings) -> Settings:
    """Return settings under which advisors ask the stand-in."""
    command = shlex.join((sys.executable, "-IS", advisor.__file__))
    return settings.model_copy(update={"advise_provider": "command", "advise_command": command})


async def run(settings: Settings, display: Display, mix: Mix | None = None) -> Mixed:
    """Play the mix, and return what came of it (about five minutes)."""
    began = time.monotonic()
    mix = mix or load()
    workshop = Workshop()
    with display:
        async with running(advised(settings), display.phase, POLICY, (), invite=workshop.invited) as lab:
            tracks = _tracks(workshop, mix.course)
            stories = {one.name: Story(fault=one.name, service=one.service) for track in tracks for one in track}
            async with background() as tasks:
                for component in workshop.components.values():
                    tasks(_traffic(component))
                tasks(_show(display, lab, stories))
                await asyncio.sleep(WARM_UP_S)
                display.phase(f"{len(stories)} faults, {len(tracks)} at a time")
                async with asyncio.TaskGroup() as group:
                    for track in tracks:
                        group.create_task(_follow(lab, track, stories))
            display.phase("waiting until the event log holds it all")
            await archived(lab)
            with EventLog(lab.settings.data_dir / "log") as log:
                report = _report(log, lab, mix, tracks, stories, time.monotonic() - began)
            display.phase("stopping")
    return report


def _tracks(workshop: Workshop, course: Mapping[str, Sequence[str]]) -> tuple[tuple[Breakage, ...], ...]:
    """Return a track for each component; all faults are numbered."""
    number = 0
    tracks = []
    for name, kinds in course.items():
        track = []
        for kind in kinds:
            number += 1
            track.append(TROUBLES[kind](workshop.components[name], number))
        tracks.append(tuple(track))
    return tuple(tracks)


async def _follow(lab: Lab, track: Sequence[Breakage], stories: Mapping[str, Story]) -> None:
    """Let one fault follow the other, each when the incident of the one before is over."""
    room = asyncio.Semaphore(1)
    for fault in track:
        story = stories[fault.name]
        await run_track((fault,), lab.watch, stories, room, HEAL_S)
        await lab.watch.until(partial(_is_over, story), CLOSED_S)


def _is_over(story: Story, found: Sequence[Decision]) -> bool:
    return not story.incident or any(
        one.kind == "incident_closed" and one.incident == story.incident for one in reversed(found)
    )


async def _traffic(component: Component) -> None:
    """Ask for a job a few times a second, as those who use the component do."""
    while True:
        await asyncio.to_thread(component.works)
        await asyncio.sleep(TRAFFIC_EVERY_S)


async def _show(display: Display, lab: Lab, stories: Mapping[str, Story]) -> None:
    while True:
        display.update(stories.values(), 0, 0, len(lab.watch.decisions))
        await asyncio.sleep(SHOW_S)


def _report(
    log: EventLog,
    lab: Lab,
    mix: Mix,
    tracks: Sequence[Sequence[Breakage]],
    stories: Mapping[str, Story],
    seconds: float,
) -> Mixed:
    ended, found, opinions = passed(log, lab.seq), escalated(log, lab.seq), consulted(log, lab.seq)
    faults = [one for track in tracks for one in track]
    outcomes = tuple(_outcome(one, mix.kinds[one.kind], stories[one.name], ended) for one in faults)
    count, calls = incidents(log, lab.seq), sum(opinions.get(source, 0) for source in CALLED)
    verdicts = [
        Verdict(level=one.level, component=one.component, healed=one.healed, asked=one.phase == PERSON)
        for one in outcomes
    ]
    return Mixed(
        scenario="mix",
        seconds=round(seconds, 1),
        claims=claims(verdicts, found, times(log, lab.seq), calls, count),
        stand_in=STAND_IN,
        outcomes=outcomes,
        phases=phases(log),
        escalations=found,
        incidents=count,
        opinions=opinions,
        calls=calls,
    )


def _outcome(fault: Breakage, kind: Kind, story: Story, ended: Mapping[str, int]) -> Outcome:
    return Outcome(
        component=fault.service,
        kind=fault.kind,
        level=kind.level,
        phase=ended.get(story.incident, 0),
        healed=story.healed,
        note=story.note,
        **story.course(),
    )
