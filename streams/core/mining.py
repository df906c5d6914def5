"""What templates tell: one is new, surges or is missed, and several are one. As decisions, from ``templates.py``.

A decision about a template has its id as reason. What is new is told once a service's ordinary lines have been heard
for some minutes: everything is new to a fleet that begins. A service that is silent as a whole misses nothing: only
minutes in which it spoke count, and what is missed is told at the turn of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from streams.core.events import CAUSES_MAX, Coordinate, Slice, Tally
from streams.core.rates import PANE_MS
from streams.core.state import Draft, Turn
from streams.core.surging import CALM, threshold
from streams.core.templates import HELD_PANES, MINUTE_MS, Mined, Template

NEW_AFTER_MINUTES: Final = 10
"""Minutes of a service's lines before a template of it is told to be new."""
HOUR_MS: Final = 3_600_000
SIGNALS_PER_HOUR_MAX: Final = 60
"""Decisions of one kind an hour, over all services. How many were not told of is in the next hour's first."""
JOINS_PER_HOUR_MAX: Final = 1_000


def hear_templates(turn: Turn, fact: Slice) -> None:
    """Take the templates of a slice's lines into account."""
    services, append_ms = turn.state.templates.services, turn.append_ms
    for tally in fact.tallies:
        at_ms = min(append_ms, tally.at_ms)
        mined = services.get(tally.service)
        turns = mined is not None and at_ms // MINUTE_MS > mined.minute
        if mined is not None and turns:
            mined.minute = at_ms // MINUTE_MS
            mined.spoken += 1
            _calm_down(turn, mined, at_ms)
        if tally.template:
            _hear(turn, fact, tally, at_ms)
        if mined is not None and turns and _is_fresh(turn, at_ms):
            _miss(turn, tally.service, mined, at_ms)


def _hear(turn: Turn, fact: Slice, tally: Tally, at_ms: int) -> None:
    mined = turn.state.templates.of(tally.service)
    unit = mined.known(tally.template)
    new = not unit
    if new:
        unit, joined = mined.place(tally.template, at_ms)
        for one in joined:
            _tell(turn, Draft(kind="template_joined", reason=one, service=tally.service, refers_to=unit, at_ms=at_ms))
        new = not joined
    entry = mined.touch(unit)
    fresh, away_ms = _is_fresh(turn, at_ms), at_ms - entry.last_at_ms
    back = entry.missed and fresh and away_ms > 0
    entry.missed = entry.missed and not back
    entry.see(at_ms, mined.spoken)
    entry.rate.add(at_ms // PANE_MS, tally.count, HELD_PANES)
    if back or (new and fresh and _settled(turn, tally.service)):
        draft = Draft(kind="template_new", reason=unit, service=tally.service, severity=tally.severity, at_ms=at_ms)
        draft.count, draft.causes = tally.count, tuple(_places(fact, tally))
        draft.figures = {"away_ms": away_ms} if back else {}
        _tell(turn, draft)
    elif fresh and entry.rate.settled and not entry.surging:
        _judge(turn, tally, unit, entry, at_ms // PANE_MS)


def _is_fresh(turn: Turn, at_ms: int) -> bool:
    """Tell whether a person is to be told: of old evidence only parents are told, the rest is learnt."""
    return turn.append_ms - at_ms <= turn.policy.old_evidence_ms


def _settled(turn: Turn, service: str) -> bool:
    """Tell whether enough of a service's lines were heard to call something of it new."""
    pace = turn.state.windows.services.get(service)
    return pace is not None and pace.lines.known >= NEW_AFTER_MINUTES


def _places(fact: Slice, tally: Tally) -> Iterable[Coordinate]:
    """Return the lines that stand for a tally's template."""
    lines = (
        line
        for one in fact.detections
        if one.template == tally.template and one.service == tally.service
        for line in one.lines
    )
    for _, line in zip(range(CAUSES_MAX), lines, strict=False):
        yield Coordinate(topic=fact.source, partition=fact.partition, offset=line.offset, index=line.index)


def _judge(turn: Turn, tally: Tally, unit: str, entry: Template, pane: int) -> None:
    lines = entry.rate.lines(pane) if pane <= entry.rate.newest else 0
    if lines < threshold(entry.rate, turn.policy):
        return
    entry.surging = True
    draft = Draft(kind="template_surging", reason=unit, service=tally.service, severity=tally.severity, count=lines)
    draft.at_ms = pane * PANE_MS
    draft.figures = {"lines_a_minute": lines, "usual_a_minute": entry.rate.usual}
    _tell(turn, draft)


def _calm_down(turn: Turn, mined: Mined, at_ms: int) -> None:
    """End the surges of the minute that is over."""
    for entry in mined.templates.values():
        if entry.surging:
            entry.surging = entry.rate.lines(at_ms // PANE_MS - 1) >= CALM * threshold(entry.rate, turn.policy)


def _miss(turn: Turn, service: str, mined: Mined, at_ms: int) -> None:
    """Tell which templates are missed, of a service that spoke in a new minute."""
    for unit, entry in mined.templates.items():
        if entry.overdue(at_ms, mined.spoken):
            entry.missed = True
            draft = Draft(kind="template_vanished", reason=unit, service=service, at_ms=at_ms)
            draft.figures = {"away_ms": at_ms - entry.last_at_ms}
            _tell(turn, draft)


def _tell(turn: Turn, draft: Draft) -> None:
    """Write a signal, unless there were enough of its kind this hour."""
    templates, kind = turn.state.templates, draft.kind
    hour = turn.now_ms // HOUR_MS
    if hour != templates.hour:
        templates.hour, templates.said = hour, {}
    said = templates.said.get(kind, 0)
    if said >= (JOINS_PER_HOUR_MAX if kind == "template_joined" else SIGNALS_PER_HOUR_MAX):
        templates.unsaid[kind] = templates.unsaid.get(kind, 0) + 1
        return
    templates.said[kind] = said + 1
    unsaid = templates.unsaid.pop(kind, 0)
    if unsaid:
        draft.figures["unsaid"] = unsaid
    turn.write(draft)
