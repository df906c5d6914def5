"""Data points as decoders return them, whatever they came in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from msgspec import Struct

POINTS_MAX: Final = 10_000
"""More points in one record are a dead letter: no record may keep the process busy for long."""
LINES_MAX: Final = 5 * POINTS_MAX
"""Lines of a record, with comments and empty ones; and messages in a request of OTLP."""
LABELS_MAX: Final = 256
"""Labels of one point or resource."""
TEXT_MAX: Final = 200
"""Names of metrics and labels, and values of labels, are cut at this many characters."""


class Point(Struct, frozen=True):
    """One data point: ``values`` are (normalised name, number), one of them, or sum and count of a distribution.

    ``labels`` are by normalised name, those of the resource among them. ``at_ms`` is 0 when the producer says no time.
    ``delta`` says that the numbers are how much a counter grew. ``unit`` is the producer's, ``""`` when it says none.
    """

    values: tuple[tuple[str, float], ...]
    labels: dict[str, str]
    at_ms: int = 0
    delta: bool = False
    unit: str = ""


class NoMetricsError(Exception):
    """A record holds no metrics that can be read; the message is the reason for the dead letter."""


def normal(name: str) -> str:
    """Return a name as the catalogue compares it: ``system.cpu.time`` is ``system_cpu_time``."""
    return _normal(name[:TEXT_MAX])


def label(name: str) -> str:
    """Return a label's name as conditions name it: as ``normal``, but a capital stays one."""
    return _label(name[:TEXT_MAX])


@lru_cache(maxsize=20_000)
def _normal(name: str) -> str:
    return _label(name.lower())


@lru_cache(maxsize=20_000)
def _label(name: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in name)


def text(value: object) -> str:
    """Return a label's value as text that can be recorded."""
    if isinstance(value, str):
        return value[:TEXT_MAX] if value.isascii() else value[:TEXT_MAX].encode("utf-8", "replace").decode()
    return str(value).lower() if isinstance(value, bool) else str(value)[:TEXT_MAX]


def lines_of(value: bytes) -> Iterator[bytes]:
    """Yield the lines of a record, one at a time: a list of millions of empty ones would cost much memory."""
    begin = 0
    while begin < len(value):
        end = value.find(b"\n", begin)
        end = len(value) if end < 0 else end
        yield value[begin:end]
        begin = end + 1


def check_count(count: int) -> None:
    """Refuse a record with more than ``POINTS_MAX`` points."""
    if count > POINTS_MAX:
        raise NoMetricsError(f"too many points: more than {POINTS_MAX}")


def check_lines(count: int) -> None:
    """Refuse a record with more than ``LINES_MAX`` lines or messages, whatever is in them."""
    if count > LINES_MAX:
        raise NoMetricsError(f"too many points: more than {LINES_MAX} lines or messages around them")


def check_labels(count: int) -> None:
    """Refuse a record with a point of more than ``LABELS_MAX`` labels."""
    if count > LABELS_MAX:
        raise NoMetricsError(f"too large: a point of more than {LABELS_MAX} labels")
