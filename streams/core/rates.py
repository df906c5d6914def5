"""How many lines of one kind came when: panes of event time, from which windows of any length are added up.

A pane is ten seconds of event time. Six panes that begin with a minute are a tumbling window; six that end with any
pane are a hopping one; the spans between pauses are sessions. A late line revises the pane that it belongs to, and with
it every window that holds the pane, as long as the pane is held. What is usual is learnt of minutes that ended a minute
ago, so that ordinary lateness is in it.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

PANE_MS: Final = 10_000
MINUTE_PANES: Final = 6
HELD_PANES: Final = 36
"""Six minutes: evidence is old after five (``policy.old_evidence_ms``), and the present minute is not over."""
MEMORY_MINUTES: Final = 60
"""Minutes that weigh in what is usual: a change that lasts is the new normal within a few hours."""
SETTLE_MINUTES: Final = 5
"""Minutes that have to be known before anything is more than usual."""
WILD: Final = 3.0
"""A minute teaches no more than one that is this many times what is usual ..."""
WILD_LEAST: Final = 10.0
"""... or that has this many lines."""
SLOPE_MINUTES: Final = 5
SESSION_GAP_MS: Final = 60_000
SESSIONS_HELD: Final = 3


class Rate(Struct, array_like=True):
    """Lines of one kind. ``panes`` ascend and end with pane number ``newest`` (event time / ``PANE_MS``).

    ``usual`` is the mean of lines a minute over ``known`` minutes; ``next_minute`` is the first that is not in it.
    """

    newest: int = -1
    panes: list[int] = []
    known: int = 0
    usual: float = 0.0
    next_minute: int = 0

    def add(self, pane: int, lines: int, held: int = HELD_PANES) -> bool:
        """Count lines of a pane; False when it is older than the ``held`` newest ones, and nothing was counted."""
        ahead = pane - self.newest if self.panes else 1
        if ahead == 0:
            self.panes[-1] += lines
            return True
        if ahead < 0:
            return self._revise(ahead, lines, held)
        if not self.panes:
            self.next_minute = pane // MINUTE_PANES + 1  # the first minute may have begun unheard
        elif pane // MINUTE_PANES > self.newest // MINUTE_PANES:
            self._learn(pane // MINUTE_PANES - 1)
        self.panes.extend([0] * min(ahead - 1, held) if self.panes else ())
        self.panes.append(lines)
        del self.panes[:-held]
        self.newest = pane
        return True

    def _revise(self, ahead: int, lines: int, held: int) -> bool:
        if -ahead >= held:
            return False
        missing = 1 - ahead - len(self.panes)
        if missing > 0:
            self.panes[:0] = [0] * missing
        self.panes[ahead - 1] += lines
        return True

    def lines(self, end: int, panes: int = MINUTE_PANES) -> int:
        """Return how many lines the window of so many panes holds whose last pane is ``end``."""
        stop = len(self.panes) - (self.newest - end)
        return sum(self.panes[max(stop - panes, 0) : max(stop, 0)])

    def minute(self, number: int) -> int:
        """Return how many lines a minute of the clock holds (a tumbling window)."""
        return self.lines(number * MINUTE_PANES + MINUTE_PANES - 1)

    def peak(self, pane: int) -> int:
        """Return the most lines of any minute that ends with a pane (a hopping window) and holds ``pane``."""
        if pane == self.newest:
            return sum(self.panes[-MINUTE_PANES:])
        return max(self.lines(end) for end in range(pane, min(pane + MINUTE_PANES, self.newest + 1)))

    def slope(self, end: int) -> float:
        """Return how much the rate (lines a minute) changes a minute: least squares, five minutes up to ``end``."""
        first, second, _, fourth, fifth = (
            self.lines(end - back * MINUTE_PANES) for back in range(SLOPE_MINUTES - 1, -1, -1)
        )
        return (2 * (fifth - first) + (fourth - second)) / 10.0

    @property
    def settled(self) -> bool:
        """Whether enough is known to say what is usual."""
        return self.known >= SETTLE_MINUTES

    def merge(self, other: Rate, held: int = HELD_PANES) -> None:
        """Add the lines of another rate, of what is now known to be the same kind."""
        first = other.newest - len(other.panes) + 1
        for place, lines in enumerate(other.panes):
            self.add(first + place, lines, held)
        self.known, self.usual = max(self.known, other.known), self.usual + other.usual

    def _learn(self, until: int) -> None:
        """Learn the minutes before ``until`` that have not been learnt; those that are not held had no line."""
        for number in range(self.next_minute, min(until, self.newest // MINUTE_PANES + 1)):
            self._take(self.minute(number))
        silent = until - max(self.next_minute, self.newest // MINUTE_PANES + 1)
        if silent > 0:
            self._rest(silent)
        self.next_minute = max(self.next_minute, until)

    def _take(self, lines: int) -> None:
        most = max(WILD * self.usual, WILD_LEAST)
        self.known = min(self.known + 1, MEMORY_MINUTES)
        heard = min(float(lines), most) if self.known > SETTLE_MINUTES else float(lines)
        self.usual += (heard - self.usual) / self.known

    def _rest(self, minutes: int) -> None:
        """Learn minutes without a line."""
        young = min(minutes, MEMORY_MINUTES - self.known)
        if young:
            self.usual *= self.known / (self.known + young)
            self.known += young
        for _ in range(min(minutes - young, 30 * MEMORY_MINUTES)):
            self.usual -= self.usual / MEMORY_MINUTES


class Session(Struct, array_like=True):
    """Lines without a pause of ``SESSION_GAP_MS`` between two of them; both times are of event."""

    begin_ms: int
    end_ms: int
    lines: int


def extend(sessions: list[Session], at_ms: int, lines: int) -> bool:
    """Count lines into their session: the newest ``SESSIONS_HELD`` are held, and a late line may join two of them.

    False when the line is older than all that are held, and there is no room for one more.
    """
    last = sessions[-1] if sessions else None
    if last is not None and last.begin_ms <= at_ms <= last.end_ms + SESSION_GAP_MS:
        last.lines += lines
        last.end_ms = max(last.end_ms, at_ms)
        return True
    if last is None or at_ms > last.end_ms:
        sessions.append(Session(at_ms, at_ms, lines))
        del sessions[:-SESSIONS_HELD]
        return True
    return _extend_older(sessions, at_ms, lines)


def _extend_older(sessions: list[Session], at_ms: int, lines: int) -> bool:
    near = [one for one in sessions if one.begin_ms - SESSION_GAP_MS <= at_ms <= one.end_ms + SESSION_GAP_MS]
    if not near and (len(sessions) >= SESSIONS_HELD and at_ms < sessions[0].begin_ms):
        return False
    joined = Session(
        min([at_ms, *(one.begin_ms for one in near)]),
        max([at_ms, *(one.end_ms for one in near)]),
        lines + sum(one.lines for one in near),
    )
    rest = [one for one in sessions if one not in near]
    sessions[:] = sorted([*rest, joined], key=lambda one: one.begin_ms)[-SESSIONS_HELD:]
    return True
