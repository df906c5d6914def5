"""How pages show values: times, shares, words, and text of strangers with everything in it visible."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from analytics.why import Step
from streams.catalogue.metrics import metrics
from streams.core.events import Figure, Option
from streams.core.kinds import DECISION_KINDS, FIGURES

SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
MINUTE_S: Final = 60
RESTS_MAX: Final = 10
"""From so many of a unit on the next smaller one is left out."""
WARN_PERCENT: Final = 75.0
BAD_PERCENT: Final = 90.0
LEVEL_WORDS: Final = {"good": "fine", "warn": "high", "bad": "too high"}
SEVERITY_TONES: Final = {"fatal": "worst", "critical": "worst", "error": "bad", "warning": "warn"}
STATUS_TONES: Final = {
    **dict.fromkeys(("healthy", "healed", "done ok", "resolved", "auto_resolved"), "good"),
    **dict.fromkeys(("acknowledged", "waiting", "unverified", "silent", "in doubt", "pending"), "warn"),
    **dict.fromkeys(("hung", "failed", "escalated", "came_back", "done failed", "refused"), "bad"),
}
HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode's categories of what steers instead of being seen: controls, directions, joiners, surrogates."""
LAYOUT: Final = frozenset("\n\t")


def visible(text: object) -> str:
    """Return text in which what would be unseen, or would turn other text around, is written out as its number."""
    return "".join(_seen(one) for one in str(text or ""))


def _seen(one: str) -> str:
    if one in LAYOUT or unicodedata.category(one) not in HIDDEN:
        return one
    return f"\\u{ord(one):04x}"


def words(name: object) -> str:
    """Return a name of ours as words."""
    return str(name or "").replace("_", " ")


def meaning(kind: str) -> str:
    """Return what a kind of decision means."""
    return DECISION_KINDS.get(kind, "")


def figure_meaning(name: str) -> str:
    """Return what a figure of a decision means."""
    return FIGURES.get(name, "")


def iso(at_ms: float) -> str:
    """Return a time for programs."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(at_ms: float) -> str:
    """Return a time for people, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def spoken(span_ms: float) -> str:
    """Return how long something takes: the largest unit, and the next one while there are few of it."""
    seconds = max(0, int(span_ms / 1000))
    for place, (size, name) in enumerate(SPANS):
        if seconds >= size:
            return _spoken(seconds, place, size, name)
    return "0 s"


def _spoken(seconds: int, place: int, size: int, name: str) -> str:
    whole, left = divmod(seconds, size)
    if size <= MINUTE_S or whole >= RESTS_MAX:
        return f"{whole} {name}"
    smaller, smaller_name = SPANS[place + 1]
    rest = left // smaller
    return f"{whole} {name} {rest} {smaller_name}" if rest else f"{whole} {name}"


def ago(at_ms: float, now_ms: float) -> str:
    """Return how long ago a time was."""
    past_ms = now_ms - at_ms
    return "just now" if past_ms < 1_000 else f"{spoken(past_ms)} ago"


def countdown(left_ms: float) -> str:
    """Return when something will be, to the second within an hour."""
    seconds = int(left_ms / 1000)
    if seconds <= 0:
        return "now"
    if seconds >= SPANS[1][0]:
        return f"in {spoken(left_ms)}"
    minutes, rest = divmod(seconds, MINUTE_S)
    return f"in {minutes}:{rest:02d} min"


def counted(count: int, one: str, many: str) -> str:
    """Return a number with the words for it; none is told as one is: no incident is open."""
    return f"{count or 'No'} {one if count <= 1 else many}"


def percent(share: float | None) -> str:
    """Return a share of 1 in percent."""
    return "not known" if share is None else f"{share * 100:.0f} %"


def shares(figures: tuple[tuple[str, float], ...], group: str) -> list[tuple[str, float]]:
    """Return the figures of a group (``risk`` or ``impact``) by their own name, the largest first."""
    found = [(words(name.removeprefix(f"{group}_")), value) for name, value in figures if name.startswith(f"{group}_")]
    return sorted(found, key=lambda one: -one[1])


def figure(value: float | None) -> str:
    """Return a number with as many digits as say something."""
    if value is None:
        return "not known"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"  # from five digits on nobody reads decimals


def figure_told(one: Figure) -> str:
    """Return a figure of a decision with its name; what is in milliseconds as a span."""
    name = one.name.removesuffix("_ms")
    return f"{words(name)} {figure(one.value) if name == one.name or one.value < 0 else spoken(one.value)}"


def latest(reason: str) -> str:
    """Return what was decided last on an incident, ``<kind>: <reason>``, with the kind in words."""
    kind, mark, said = reason.partition(": ")
    return words(kind) + mark + said if kind in DECISION_KINDS else reason


def unit(metric: str) -> str:
    """Return the unit of a metric; ``""`` for one that is not known."""
    row = metrics().metrics.get(metric)
    return "" if row is None else str(row.unit)


def level(value: float) -> str:
    """Return how good a use in percent is: good, warn or bad."""
    if value >= BAD_PERCENT:
        return "bad"
    return "warn" if value >= WARN_PERCENT else "good"


def level_word(value: float) -> str:
    """Return the same in a word: a colour never says anything alone."""
    return LEVEL_WORDS[level(value)]


def severity_tone(severity: str) -> str:
    """Return the colour of a severity."""
    return SEVERITY_TONES.get(severity, "")


def status_tone(status: str) -> str:
    """Return the colour of a status."""
    return STATUS_TONES.get(status, "")


def is_chosen(option: Option, step: Step) -> bool:
    """Say whether an option is what a step of ``why`` does, or asks for."""
    return bool(option.action == step.command.action if step.command else option.strategy == step.strategy)


FILTERS: Final[Mapping[str, Any]] = {
    one.__name__: one
    for one in (
        visible,
        words,
        meaning,
        figure_meaning,
        iso,
        utc,
        spoken,
        ago,
        countdown,
        percent,
        shares,
        figure,
        figure_told,
        latest,
        unit,
        level,
        level_word,
        severity_tone,
        status_tone,
        is_chosen,
    )
}
"""What templates may call."""
