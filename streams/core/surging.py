"""What surges, and what came too late: told of as decisions, from the windows that ``windows.py`` holds.

What is usual is each rate's own history (SPEC P8); a minute with many times that is a surge. Both its begin and its end
are recorded. A line too late for a window that is held is counted and told of, never lost without a word.
"""

from __future__ import annotations

from typing import Final

from streams.core.config import Policy
from streams.core.events import Slice
from streams.core.rates import MINUTE_PANES, PANE_MS, Rate
from streams.core.state import Draft, Turn
from streams.core.windows import Surge, Touched

SURGES_MAX: Final = 64
"""Surges at one time that are told of. When more surge, the rate of their severity does as well."""
LATE_SAID_EVERY_MS: Final = 600_000
CALM: Final = 0.5
"""A surge is over when the rate falls below this part of what makes one."""


def threshold(rate: Rate, policy: Policy) -> float:
    """Return how many lines within a minute make a surge of a rate."""
    return max(policy.surge_factor * rate.usual, float(policy.surge_lines_min))


def hear_rates(turn: Turn, fact: Slice) -> None:
    """Count a slice's lines, then tell what surges, what no longer does, and what was late."""
    if not fact.tallies:
        return
    windows = turn.state.windows
    category_of = {one.pattern: one.category for one in fact.detections} if fact.detections else {}
    touched: Touched = {}
    append_ms, newest_ms = turn.append_ms, 0
    for tally in fact.tallies:
        at_ms = min(append_ms, tally.at_ms)
        newest_ms = max(newest_ms, at_ms)
        windows.count(tally, at_ms, category_of.get(tally.pattern, ""), touched)
    before, windows.pane = windows.pane, max(windows.pane, newest_ms // PANE_MS)
    if windows.surges and windows.pane // MINUTE_PANES > before // MINUTE_PANES:
        _subside(turn)
    for key, (rate, pane) in touched.items():
        if rate.settled and key not in windows.surges and windows.of(key) is rate and _is_fresh(turn, rate):
            _judge(turn, key, rate, pane)
    if windows.late.lines:
        _tell_late(turn)


def _is_fresh(turn: Turn, rate: Rate) -> bool:
    """Tell whether lines are new enough to tell a person of: of old evidence what is usual is learnt, no more."""
    return turn.append_ms - rate.newest * PANE_MS <= turn.policy.old_evidence_ms


def _judge(turn: Turn, key: str, rate: Rate, pane: int) -> None:
    """Tell of a surge when a minute that holds ``pane`` has many more lines than usual."""
    windows, lines = turn.state.windows, rate.peak(pane)
    if lines < threshold(rate, turn.policy) or len(windows.surges) >= SURGES_MAX:
        return
    draft = _about(key, Draft(kind="rate_surged", reason=key, count=lines, at_ms=pane * PANE_MS))
    draft.figures = {"lines_a_minute": lines, "usual_a_minute": rate.usual, "slope": rate.slope(rate.newest)}
    if draft.service:
        session = windows.services[draft.service].sessions[-1]
        draft.figures["session_ms"] = session.end_ms - session.begin_ms
    windows.surges[key] = Surge(turn.next_id(), pane * PANE_MS, lines)
    turn.write(draft)


def _about(key: str, draft: Draft) -> Draft:
    by, _, name = key.partition(" ")
    setattr(draft, by, name)
    return draft


def _subside(turn: Turn) -> None:
    """Tell which surges are over: once a minute of the fleet's event time, of those only that are under way."""
    windows = turn.state.windows
    end_ms = windows.pane * PANE_MS
    for key, surge in list(windows.surges.items()):
        rate = windows.of(key)
        lines = rate.lines(windows.pane - 1) if rate else 0
        surge.peak = max(surge.peak, lines)
        if rate and lines >= CALM * threshold(rate, turn.policy):
            continue
        del windows.surges[key]
        draft = _about(key, Draft(kind="rate_subsided", reason=key, at_ms=end_ms, refers_to=surge.decision_id))
        draft.figures = {"peak_a_minute": surge.peak, "lasted_ms": max(end_ms - surge.since_at_ms, 0)}
        turn.write(draft)


def _tell_late(turn: Turn) -> None:
    """Tell of late lines that no window holds, at most every ten minutes."""
    late = turn.state.windows.late
    if late.said_ms and turn.now_ms < late.said_ms + LATE_SAID_EVERY_MS:
        return
    draft = Draft(kind="lines_late", reason="older than every window that is held", service=late.service)
    draft.count, draft.figures = late.lines, {"behind_ms": late.behind_ms}
    turn.write(draft)
    late.lines, late.behind_ms, late.service, late.said_ms = 0, 0, "", turn.now_ms
