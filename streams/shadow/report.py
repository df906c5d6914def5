"""What a candidate came to, from the journal: how much of the log it would have changed, and where it parted first."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from streams.core.errors import InputError
from streams.core.twin import CHANGES, DIFFERENT, OBSERVED_KINDS
from streams.shadow.journal import FILE, explained

FIRSTS_MAX: Final = 20


class KindCount(Struct, frozen=True, kw_only=True):
    """How many decisions of a kind had each change; those of ``added`` are the candidate's alone."""

    kind: str
    same: int = 0
    details: int = 0
    instead: int = 0
    dropped: int = 0
    added: int = 0


class FirstDifference(Struct, frozen=True, kw_only=True):
    """Where the candidate parted from the log on an incident: what was decided, and what it decides there.

    ``at_ms`` is the smoothed append time of the fact. A kind is ``""`` where one of both decided nothing.
    """

    facts_offset: int
    at_ms: int
    incident: str
    service: str
    pattern: str
    change: str
    kind: str
    action: str
    reason: str
    candidate_kind: str
    candidate_action: str
    candidate_reason: str


class ShadowReport(Struct, frozen=True, kw_only=True):
    """A run of shadow mode. Shares are of all decisions that the log or the candidate made, None while there are none.

    ``share_of_acts`` leaves out the kinds that only say how things are. ``missed`` facts could not be compared;
    ``repeats`` are differences that were said again within ten minutes, and count once.
    """

    run: int
    fleet: str
    policy_sha256: str
    from_ms: int
    to_ms: int
    facts: int
    missed: int
    decisions: int
    differing: int
    share: float | None
    share_of_acts: float | None
    incidents_opened: int
    incidents_parted: int
    repeats: int
    failures: int
    kinds: tuple[KindCount, ...]
    firsts: tuple[FirstDifference, ...]


def report(directory: Path, run: int | None = None) -> ShadowReport:
    """Return what one run came to, the newest if none is named; ``InputError`` when there is none."""
    with _opened(directory) as rows:
        found = rows.execute(
            "SELECT * FROM runs WHERE run = coalesce(?, (SELECT max(run) FROM runs))", (run,)
        ).fetchone()
        if found is None:
            raise InputError(f"there is no run {'' if run is None else run} in {directory}".replace("  ", " "))
        counts = rows.execute("SELECT kind, change, decisions FROM counts WHERE run = ?", (found["run"],)).fetchall()
        firsts = rows.execute(
            "SELECT * FROM differences WHERE run = ? AND first = 1 ORDER BY number DESC LIMIT ?",
            (found["run"], FIRSTS_MAX),
        ).fetchall()
    kinds = _kinds(counts)
    same_run = ("run", "fleet", "policy_sha256", "from_ms", "to_ms", "facts", "missed")
    return ShadowReport(
        **{name: found[name] for name in (*same_run, "incidents_parted", "repeats", "failures")},
        decisions=sum(map(_all, kinds)),
        differing=sum(map(_differing, kinds)),
        share=_share(kinds),
        share_of_acts=_share([one for one in kinds if one.kind not in OBSERVED_KINDS]),
        incidents_opened=sum(_all(one) - one.added for one in kinds if one.kind == "incident_opened"),
        kinds=tuple(kinds),
        firsts=tuple(_first(row) for row in firsts),
    )


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[sqlite3.Connection]:
    path = directory / FILE
    if not path.exists():
        raise InputError(f"nothing was compared in {directory} yet: run logmend shadow --policy FILE")
    with explained(directory), contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def _kinds(counts: list[sqlite3.Row]) -> list[KindCount]:
    """Return the counts by kind, those with most differences first."""
    by_kind: dict[str, dict[str, int]] = {}
    for kind, change, decisions in counts:
        by_kind.setdefault(kind, {})[change] = decisions
    found = [KindCount(kind=kind, **changes) for kind, changes in by_kind.items()]
    return sorted(found, key=lambda one: (-_differing(one), -_all(one), one.kind))


def _all(one: KindCount) -> int:
    return sum(getattr(one, change) for change in CHANGES)


def _differing(one: KindCount) -> int:
    return sum(getattr(one, change) for change in DIFFERENT)


def _share(kinds: list[KindCount]) -> float | None:
    decisions = sum(map(_all, kinds))
    return sum(map(_differing, kinds)) / decisions if decisions else None


def _first(row: sqlite3.Row) -> FirstDifference:
    names = (name for name in FirstDifference.__struct_fields__ if name != "at_ms")
    return FirstDifference(at_ms=row["now_ms"], **{name: row[name] for name in names})
