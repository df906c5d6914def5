"""Templates of lines that look like errors and match no pattern: what is held of each, and which are really one.

A template's id carries its shape (``ingest/masking.py``): two characters a word. ``**`` was masked; a capital begins a
word that says what happened. Where several templates of a service differ in a few names only, those names are variable,
and the templates get a parent with ``**`` in these places; from then on they count as one. Templates that differ in a
word that says what happened ("Started", "Paused") are never given the same parent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct, field

from streams.core.rates import MINUTE_PANES, Rate

MASKED: Final = "**"
SIBLINGS_MIN: Final = 4
"""Templates that differ in the same names before these are taken to be variable; with fewer they may be two events."""
WORDS_PER_NAME: Final = 4
"""For each name that may differ a line has this many words; one may always differ."""
WORDS_KEPT_MIN: Final = 3
"""Words that siblings have in common at least, and at least half of theirs."""
TEMPLATES_MAX: Final = 48
"""Templates of one service; the longest silent leave first, and are new when they come again."""
CHILDREN_MAX: Final = 32
"""Templates of one service that have a parent and are remembered; others are found by their shape again."""
MINED_MAX: Final = 1_000
"""Services whose templates are held; the longest silent leave first."""
SHAPES_CACHED: Final = 4_096
HELD_PANES: Final = 2 * MINUTE_PANES
REGULAR_MINUTES: Final = 10
"""Minutes in which a template was seen before it is missed."""
MISSED_GAPS: Final = 10
"""It is missed after so many times its usual pause, and after as many minutes at least in which its service spoke."""
MINUTE_MS: Final = 60_000

Shape = tuple[str, ...]


class Template(Struct, array_like=True):
    """A template of one service, or the parent of ``members`` of them. Times are of event.

    ``minutes`` is in how many minutes it was seen, ``spoken`` the service's count of minutes when it was seen last;
    ``missed`` and ``surging`` say that it was told of.
    """

    first_at_ms: int
    last_at_ms: int
    members: int = 0
    minutes: int = 1
    spoken: int = 0
    missed: bool = False
    surging: bool = False
    rate: Rate = field(default_factory=Rate)

    def see(self, at_ms: int, spoken: int) -> None:
        """Take a line of event time ``at_ms`` into account, in the service's ``spoken``-th minute with lines."""
        self.spoken = spoken
        self.minutes += at_ms // MINUTE_MS > self.last_at_ms // MINUTE_MS
        self.last_at_ms = max(self.last_at_ms, at_ms)
        self.first_at_ms = min(self.first_at_ms, at_ms)

    def overdue(self, at_ms: int, spoken: int) -> bool:
        """Tell whether it was regular and has been away for much longer than its usual pause."""
        if self.missed or self.minutes < REGULAR_MINUTES or spoken - self.spoken <= MISSED_GAPS:
            return False
        pause_ms = (self.last_at_ms - self.first_at_ms) // (self.minutes - 1)
        return at_ms - self.last_at_ms > MISSED_GAPS * max(pause_ms, MINUTE_MS)


class Mined(Struct, array_like=True):
    """Templates of one service by id, the longest silent first; ``children`` have a parent.

    ``minute`` is the newest in which the service spoke, ``spoken`` counts such minutes.
    """

    minute: int = 0
    spoken: int = 0
    templates: dict[str, Template] = {}
    children: dict[str, str] = {}

    def known(self, template: str) -> str:
        """Return the id under which a template counts: its own, its parent's, or ``""`` for one never seen."""
        return template if template in self.templates else self.children.get(template, "")

    def touch(self, unit: str) -> Template:
        """Return a template that is known, and move it to the end of the order."""
        entry = self.templates[unit] = self.templates.pop(unit)
        return entry

    def place(self, template: str, at_ms: int) -> tuple[str, list[str]]:
        """Take in a template never seen: return the id under which it counts, and all that get that one as parent."""
        shape = shape_of(template)
        others = [(one, shape_of(one)) for one in self.templates if len(one) == len(template)]
        covering = next((one for one, it in others if self.templates[one].members and _covers(it, shape)), "")
        if covering:
            self.templates[covering].members += 1
            self._belongs(template, covering)
            return covering, [template]
        parent = self._parent(shape, others)
        if parent is None:
            self._make_room()
            self.templates[template] = Template(at_ms, at_ms)
            return template, []
        joined = [one for one, it in others if _covers(parent, it)]
        return self._join(parent, joined, template, at_ms)

    def _parent(self, shape: Shape, others: Sequence[tuple[str, Shape]]) -> Shape | None:
        """Return the shape that a new template and enough of the others share, ``None`` when there are too few."""
        words = sum(word != MASKED for word in shape)
        places: dict[tuple[int, ...], list[str]] = {}
        for one, it in others:
            differing = _differing(shape, it, max(1, words // WORDS_PER_NAME))
            if differing is not None:
                places.setdefault(differing, []).append(one)
        for differing in sorted(places, key=lambda some: (len(some), -len(places[some]), some)):
            if not _enough_left(words, len(differing)):
                continue
            siblings = [one for some, ones in places.items() if set(some) <= set(differing) for one in ones]
            proved = not differing or any(self.templates[one].members for one in siblings)
            if proved or len(siblings) + 1 >= SIBLINGS_MIN:
                return tuple(MASKED if place in differing else word for place, word in enumerate(shape))
        return None

    def _join(self, parent: Shape, joined: list[str], template: str, at_ms: int) -> tuple[str, list[str]]:
        unit, whole = parent_id(parent), Template(at_ms, at_ms, members=1)
        for one in joined:
            part = self.templates.pop(one)
            whole.members += max(part.members, 1)
            whole.minutes = max(whole.minutes, part.minutes)
            whole.first_at_ms = min(whole.first_at_ms, part.first_at_ms)
            whole.last_at_ms = max(whole.last_at_ms, part.last_at_ms)
            whole.rate.merge(part.rate, HELD_PANES)
            self._belongs(one, unit)
        for one, above in self.children.items():
            if above in joined:
                self.children[one] = unit
        self._belongs(template, unit)
        self.templates[unit] = whole
        return unit, [one for one in (*joined, template) if one != unit]

    def _belongs(self, template: str, unit: str) -> None:
        if template == unit:
            return
        if len(self.children) >= CHILDREN_MAX:
            del self.children[next(iter(self.children))]
        self.children[template] = unit

    def _make_room(self) -> None:
        """Let the longest silent template go, and with a parent those that counted under it."""
        if len(self.templates) < TEMPLATES_MAX:
            return
        gone = next(iter(self.templates))
        del self.templates[gone]
        for child in [one for one, unit in self.children.items() if unit == gone]:
            del self.children[child]


class Templates(Struct):
    """Templates of all services (the longest silent first), and how many of each signal were told of this hour."""

    services: dict[str, Mined] = {}
    hour: int = 0
    said: dict[str, int] = {}
    unsaid: dict[str, int] = {}

    def of(self, service: str) -> Mined:
        """Return the templates of a service, made if need be, and move it to the end of the order."""
        mined = self.services.pop(service, None) or Mined()
        if len(self.services) >= MINED_MAX:
            del self.services[next(iter(self.services))]
        self.services[service] = mined
        return mined


@lru_cache(SHAPES_CACHED)
def shape_of(template: str) -> Shape:
    """Return the shape behind an id's dot, a word each; empty for an id without one."""
    shape = template.partition(".")[2]
    return tuple(shape[at : at + 2] for at in range(0, len(shape), 2))


def parent_id(shape: Shape) -> str:
    """Return the id of the template with this shape: the same for every service, host and time."""
    text = "".join(shape)
    return f"{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}.{text}"


def _covers(parent: Shape, shape: Shape) -> bool:
    """Tell whether a template is a case of a parent: it has names only where that is masked, and enough words left."""
    if len(parent) != len(shape):
        return False
    names = 0
    for word, other in zip(parent, shape, strict=True):
        if word != other:
            if word != MASKED or other[0].isupper():
                return False
            names += 1
    return _enough_left(sum(word != MASKED for word in shape), names)


def _differing(shape: Shape, other: Shape, most: int) -> tuple[int, ...] | None:
    """Return the places in which only names differ, ``None`` when more than ``most`` do, or something else does.

    A place that the other has masked already counts as well; one that only the new shape has masked is none of a name.
    """
    if len(shape) != len(other) or not shape:
        return None
    places = [place for place, word in enumerate(shape) if word != other[place]]
    if len(places) > most or any(_fixed(shape[place]) or other[place][0].isupper() for place in places):
        return None
    return tuple(places)


def _fixed(word: str) -> bool:
    return word == MASKED or word[0].isupper()


def _enough_left(words: int, differing: int) -> bool:
    left = words - differing
    return not differing or left >= max(WORDS_KEPT_MIN, (words + 1) // 2)
