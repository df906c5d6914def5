"""What specialists did in a run, read from the event log: who was brought up, how fast, how they were coordinated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from analytics.views import EventLog
from lab.scenarios.frame import Table
from lab.session import Lab

RUNNING_SECONDS_MAX: Final = 1.0
"""From the decision to bring a specialist up until it runs (SPEC C5)."""
RUNNING_CLAIM: Final = f"from the decision to a running specialist: under {RUNNING_SECONDS_MAX:g} s, each of them"
RELEASED_S: Final = 15.0
LOOK_S: Final = 0.25


class Specialist(Struct, frozen=True, kw_only=True):
    """One specialist of a plan. ``start_seconds``: from the decision until it ran, by Kafka's clock; None: never."""

    specialist: str
    part: str
    way: str
    plan: str
    service: str
    state: str
    start_seconds: float | None
    held_seconds: float
    used_seconds: float


class Way(Struct, frozen=True, kw_only=True):
    """One row of the view ``coordination``. Rates are None while nothing was judged, or nothing held."""

    way: str
    plans: int
    verified: int
    judged: int
    success_rate: float | None
    seconds_to_act: float | None
    seconds: float | None
    members: float
    looks: float
    findings: float
    held_seconds: float | None
    used_seconds: float | None
    efficiency: float | None


def specialists(log: EventLog, seq: int) -> tuple[Specialist, ...]:
    """Return the specialists that were asked for by decision ``seq`` or later, in that order."""
    columns = ", ".join(f"s.{name}" for name in Specialist.__struct_fields__)
    sql = f"""
        SELECT {columns} FROM specialists AS s JOIN decisions AS d ON d.id = s.plan
        WHERE d.seq >= $seq ORDER BY d.seq, s.spawned_at, s.specialist
    """
    return tuple(msgspec.convert(log.query(sql, {"seq": seq}).to_dicts(), list[Specialist]))


def recorded_ms(log: EventLog, seq: int) -> dict[str, int]:
    """Return when (ms since 1970, Kafka's clock) each decision from ``seq`` on was in the log, by id."""
    sql = "SELECT id, epoch_ms(recorded_at) FROM decisions WHERE seq >= $seq"
    return dict(log.query(sql, {"seq": seq}).rows())


def ways(log: EventLog) -> tuple[Way, ...]:
    """Return the view ``coordination``: statistics by way, over the whole event log."""
    columns = ", ".join(Way.__struct_fields__)
    rows = log.query(f"SELECT {columns} FROM coordination ORDER BY plans DESC, way").to_dicts()
    return tuple(msgspec.convert(rows, list[Way]))


async def let_go(lab: Lab) -> None:
    """Wait until no specialist of the run is held any more, as far as the event log knows; gives up after a while."""
    deadline = time.monotonic() + RELEASED_S
    with EventLog(lab.settings.data_dir / "log") as log:
        while any(one.state not in {"released", "failed"} for one in specialists(log, lab.seq)):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(LOOK_S)


def slowest(found: Sequence[Specialist]) -> float | None:
    """Return the longest start in seconds; None unless all of them came to run."""
    starts = [one.start_seconds for one in found]
    return max((start for start in starts if start is not None), default=None) if None not in starts else None


def ways_table(found: Sequence[Way]) -> Table:
    """Return the statistics of the ways beside each other."""
    columns = ("way", "plans", "verified", "success", "to act", "in all", "members", "looks", "findings", "efficiency")
    rows = tuple(
        (
            one.way,
            one.plans,
            f"{one.verified} of {one.judged}",
            _shown(one.success_rate, ".1%"),
            _shown(one.seconds_to_act, ".2f", " s"),
            _shown(one.seconds, ".2f", " s"),
            f"{one.members:.1f}",
            f"{one.looks:.1f}",
            f"{one.findings:.1f}",
            _shown(one.efficiency, ".1%"),
        )
        for one in found
    )
    return Table(
        title="Coordination, by way (the view coordination, over the whole event log)", columns=columns, rows=rows
    )


def _shown(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"
