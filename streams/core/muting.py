"""Mutes are set, lifted and over; what they hold back says so, as a gate and by the mute's id."""

from __future__ import annotations

from typing import Final

from streams.core.events import Coordinate, Gate
from streams.core.mutes import MAINTENANCE, MUTE_MS_MAX, MUTES_MAX, SILENCE, Mute
from streams.core.num import stored
from streams.core.people import refuse, short
from streams.core.requests import MUTE_KINDS, MuteLifted, MuteSet
from streams.core.state import Draft, Turn

_ACTING: Final = frozenset({MAINTENANCE})
_TELLING: Final = frozenset({SILENCE, MAINTENANCE})
Muted = tuple[str, tuple[Gate, ...]]
"""The mute's id and its gate; ``""`` and none while nothing mutes."""
NOT_MUTED: Final[Muted] = ("", ())


def set_mute(turn: Turn, asked: MuteSet, where: Coordinate) -> bool:
    """Set a mute, or say why not; True when something may have changed."""
    if why_not := _why_not(turn, asked):
        refuse(turn, where, why_not)
        return False
    mute = Mute(asked.kind, asked.service, asked.pattern, asked.begin_ms, asked.end_ms)
    draft = Draft(kind="mute_set", reason=_said(asked.kind, asked.author, asked.reason), causes=(where,))
    draft.service, draft.pattern = asked.service, asked.pattern
    draft.figures = {"begin_ms": float(asked.begin_ms), "end_ms": float(asked.end_ms)}
    turn.state.mutes.add(turn.write(draft).id, mute)
    return True


def _why_not(turn: Turn, asked: MuteSet) -> str:
    if asked.kind not in MUTE_KINDS:
        return f"a mute is one of {', '.join(MUTE_KINDS)}"
    if asked.end_ms <= max(asked.begin_ms, turn.append_ms):
        return "the mute is over before it begins"
    if asked.end_ms > turn.append_ms + MUTE_MS_MAX:
        return f"a mute ends within {MUTE_MS_MAX // 86_400_000} days"
    if len(turn.state.mutes.known) >= MUTES_MAX:
        return f"there are {MUTES_MAX} mutes already: lift one"
    return ""


def lift(turn: Turn, asked: MuteLifted, where: Coordinate) -> bool:
    """End a mute before its time; True when there was one."""
    mute = turn.state.mutes.known.pop(asked.mute_id, None)
    if mute is None:
        refuse(turn, where, "no such mute is set")
        return False
    draft = Draft(kind="mute_lifted", reason=_said(mute.kind, asked.author, asked.reason), refers_to=asked.mute_id)
    draft.service, draft.pattern, draft.causes = mute.service, mute.pattern, (where,)
    turn.write(draft)
    return True


def expire(turn: Turn) -> bool:
    """Say which mutes are over by now; True when there is one."""
    ended = turn.state.mutes.over(turn.append_ms)
    for mute_id in ended:
        turn.write(Draft(kind="mute_ended", reason="its time is over", refers_to=mute_id))
    return bool(ended)


def _said(kind: str, author: str, reason: str) -> str:
    return f"{kind} by {short(author)}: {short(reason)}" if reason else f"{kind} by {short(author)}"


def maintained(turn: Turn, service: str, pattern: str) -> Muted:
    """Return the maintenance under which a pattern of a service is neither acted on nor given to a person."""
    return _muted(turn, _ACTING, MAINTENANCE, service, pattern)


def silenced(turn: Turn, service: str, pattern: str = "") -> Muted:
    """Return the mute under which nobody is told of a pattern of a service, or of the service itself."""
    return _muted(turn, _TELLING, SILENCE, service, pattern)


def _muted(turn: Turn, kinds: frozenset[str], gate: str, service: str, pattern: str) -> Muted:
    found = turn.state.mutes.covering(kinds, service, pattern, turn.append_ms) if turn.state.mutes.known else None
    if found is None:
        return NOT_MUTED
    mute_id, mute = found
    left_ms = stored(float(mute.end_ms - turn.append_ms))
    return mute_id, (Gate(name=gate, passed=False, value=left_ms, limit=0.0),)
