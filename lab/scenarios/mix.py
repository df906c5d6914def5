"""Mix: 40 faults of a toolchain, easy ones, hard ones, and some that nothing helps against, with advisors at hand.

All of it comes twice: of the first round nothing is known before, the second one has the first as its past, and that is
what research goes by. What happens stands in ``lab/data/mix.toml``. The advisors are the real ones: ``logmend advise``
asks a program of this host (``standins/advisor.py``, which plays a model) what research alone is not sure of. A fault
that ends with a person is repaired by the lab as that person would; its escalation then ends by itself.
"""

from __future__ import annotations

import asyncio
import itertools
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
    Round,
    Verdict,
    claims,
    escalated,
    passed,
    phases,
    round_of,
    times,
)
from lab.scenarios.troubles import TROUBLES
from lab.scenarios.workshop import Breakage, Component, Workshop
from lab.session import Lab, background, running
from lab.standins import advisor
from lab.timeline import Course, Story
from streams.core.events import Decision
from streams.core.phases import PERSON
from streams.settings import Settings

POLICY: Final = replace(LAB_POLICY, exploration_rate=0.0, stuck_failures=0)
"""Verified after three seconds, ten more without the symptom; nothing is done for the sake of learning. Nothing is
stuck because it did not help ten times: the mix is made of what the first action does not help against."""
STAND_IN: Final = "a program that answers by a simple diagnosis, in place of a model"
TRAFFIC_EVERY_S: Final = 0.25
SHOW_S: Final = 0.25
ROUNDS: Final = 2
CLOSED_S: Final = 45.0
"""Longer than an incident that a person has repaired stays open."""


class Kind(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of fault: ``first`` is what the shipped fixes name for what is seen, ``heals`` what really helps."""

    level: Literal["easy", "hard", "twofold", "unsolvable"]
    first: str
    heals: str
    cause: str


class Mix(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table: all kinds, and what happens to each component, one after the other."""

    kinds: dict[str, Kind]
    course: dict[str, tuple[str, ...]]


class Outcome(Course, frozen=True, kw_only=True):
    """One fault of the mix and what became of it."""

    round: int
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
    rounds: tuple[Round, ...]

    def tables(self) -> tuple[Table, ...]:
        """Return the faults, the shares by phase beside those that are claimed, the escalations and the calls."""
        return (
            _outcomes_table(self.outcomes),
            _phases_table(self.phases),
            _escalations_table(self.escalations),
            _rounds_table(self.rounds, self.stand_in),
        )


def _outcomes_table(found: Sequence[Outcome]) -> Table:
    columns = ("round", "component", "fault", "level", "seen as", "done", "phase", "detected", "works", "verified", "")
    rows = tuple(
        (
            one.round,
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


def _rounds_table(found: Sequence[Round], stand_in: str) -> Table:
    columns = ("round", "incidents", "opinions by research", "calls of the model *", "of one per incident")
    rows = tuple((one.number, one.incidents, one.by_research, one.calls, f"{one.share:.0%}") for one in found)
    return Table(title=f"Advisors (* {stand_in})", columns=columns, rows=rows)


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
    """Play the mix twice, and return what came of it (about seven minutes)."""
    began = time.monotonic()
    mix = mix or load()
    workshop = Workshop()
    with display:
        async with running(advised(settings), display.phase, POLICY, (), invite=workshop.invited) as lab:
            told: list[Told] = []
            begins: list[int] = []
            async with background() as tasks:
                for component in workshop.components.values():
                    tasks(_traffic(component))
                tasks(_show(display, lab, told))
                await asyncio.sleep(WARM_UP_S)
                for number in range(1, ROUNDS + 1):
                    begins.append(lab.watch.decisions[-1].seq + 1)
                    tracks = _tracks(workshop, mix.course, number)
                    told.extend(one for track in tracks for one in track)
                    display.phase(
                        f"round {number} of {ROUNDS}: {sum(map(len, tracks))} faults, {len(tracks)} at a time"
                    )
                    async with asyncio.TaskGroup() as group:
                        for track in tracks:
                            group.create_task(_follow(lab, track))
            display.phase("waiting until the event log holds it all")
            await archived(lab)
            with EventLog(lab.settings.data_dir / "log") as log:
                report = _report(log, begins, mix, told, time.monotonic() - began)
            display.phase("stopping")
    return report


class Told(Struct, kw_only=True):
    """A fault of a round, with its story."""

    round: int
    fault: Breakage
    story: Story


def _tracks(workshop: Workshop, course: Mapping[str, Sequence[str]], number: int) -> tuple[tuple[Told, ...], ...]:
    """Return a track of a round for each component; all faults are numbered."""
    count = itertools.count(100 * number + 1)
    return tuple(
        tuple(_told(workshop.components[name], kind, next(count), number) for kind in kinds)
        for name, kinds in course.items()
    )


def _told(component: Component, kind: str, count: int, number: int) -> Told:
    fault = TROUBLES[kind](component, count)
    return Told(round=number, fault=fault, story=Story(fault=fault.name, service=component.name, run=number))


async def _follow(lab: Lab, track: Sequence[Told]) -> None:
    """Let one fault follow the other, each when the incident of the one before is over."""
    room = asyncio.Semaphore(1)
    for one in track:
        await run_track((one.fault,), lab.watch, {one.fault.name: one.story}, room, HEAL_S)
        await lab.watch.until(partial(_is_over, one.story), CLOSED_S)


def _is_over(story: Story, found: Sequence[Decision]) -> bool:
    return not story.incident or any(
        one.kind == "incident_closed" and one.incident == story.incident for one in reversed(found)
    )


async def _traffic(component: Component) -> None:
    """Ask for a job a few times a second, as those who use the component do."""
    while True:
        await asyncio.to_thread(component.works)
        await asyncio.sleep(TRAFFIC_EVERY_S)


async def _show(display: Display, lab: Lab, told: Sequence[Told]) -> None:
    while True:
        display.update([one.story for one in told], 0, 0, len(lab.watch.decisions))
        await asyncio.sleep(SHOW_S)


def _report(log: EventLog, begins: Sequence[int], mix: Mix, told: Sequence[Told], seconds: float) -> Mixed:
    ended, found = passed(log, begins[0]), escalated(log, begins[0])
    ends = (*begins[1:], None)
    rounds = tuple(round_of(log, number, *span) for number, span in enumerate(zip(begins, ends, strict=True), 1))
    outcomes = tuple(_outcome(one, mix.kinds[one.fault.kind], ended) for one in told)
    verdicts = [
        Verdict(level=one.level, component=one.component, healed=one.healed, asked=one.phase == PERSON)
        for one in outcomes
    ]
    return Mixed(
        scenario="mix",
        seconds=round(seconds, 1),
        claims=claims(verdicts, found, times(log, begins[0]), rounds[-1]),
        stand_in=STAND_IN,
        outcomes=outcomes,
        phases=phases(log),
        escalations=found,
        rounds=rounds,
    )


def _outcome(one: Told, kind: Kind, ended: Mapping[str, int]) -> Outcome:
    return Outcome(
        round=one.round,
        component=one.fault.service,
        kind=one.fault.kind,
        level=kind.level,
        phase=ended.get(one.story.incident, 0),
        healed=one.story.healed,
        note=one.story.note,
        **one.story.course(),
    )
