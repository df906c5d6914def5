"""Prometheus text exposition 0.0.4 and OpenMetrics 1.0: one record is a scrape, or lines of one.

A scrape is taken whole or, as in Prometheus itself, not at all: half of one would be counted twice when the record is
sent again. Types are not needed, names say enough; a unit may come in a comment. Exemplars are passed over.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import re
from typing import Final

from streams.ingest import stamps
from streams.ingest.metrics.points import (
    TEXT_MAX,
    NoMetricsError,
    Point,
    check_count,
    check_labels,
    check_lines,
    label,
    lines_of,
    normal,
    text,
)

LINE_CHARACTERS_MAX: Final = 65_536
"""A longer line is no sample: its labels would be."""
_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_QUOTED: Final = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
_LABEL: Final = re.compile(rf"\s*+(?:([a-zA-Z_][a-zA-Z0-9_.]*+)|{_QUOTED})\s*+(?:=\s*+{_QUOTED})?+\s*+(,|(?=\}}))")
_REST: Final = re.compile(r"\s*+(\S++)(?:\s++(-?[0-9.]++(?:[eE][+-]?\d++)?))?(?:\s++#\s*+\{.*+)?\s*+")
_UNIT: Final = re.compile(r"#\s+UNIT\s+(\S+)\s+(\S+)\s*")
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"n": "\n", '"': '"', "\\": "\\"}


def decode(value: bytes) -> list[Point]:
    """Return the points of a scrape; ``NoMetricsError`` names the first line that is no sample."""
    points: list[Point] = []
    units: dict[str, str] = {}
    for number, raw in enumerate(lines_of(value), start=1):
        line = raw.strip(b"\r\x00").decode("utf-8", "replace")
        check_lines(number)
        if not line or line.isspace():
            continue
        if line[0] == "#":
            found = _UNIT.fullmatch(line)
            if found:
                units[normal(found[1])] = found[2]
            continue
        point = _sample(line, units) if len(line) <= LINE_CHARACTERS_MAX else None
        if point is None:
            raise NoMetricsError(f"no metrics: line {number} is no sample of Prometheus text")
        points.append(point)
        check_count(len(points))
    if not points:
        raise NoMetricsError("no metrics: text without a sample")
    return points


def _sample(line: str, units: dict[str, str]) -> Point | None:
    """Return the point of ``name{label="value"} 1.5 1700000000000``; None when it is none."""
    line = line.lstrip()
    head = _NAME.match(line)
    name, at = (head[0], _skip_blanks(line, head.end())) if head else ("", 0)
    labels: dict[str, str] = {}
    if line.startswith("{", at):
        name, at = _labels(line, at + 1, name, labels)
    rest = _REST.fullmatch(line, at)
    if not name or rest is None:
        return None
    number, at_ms = _number(rest[1]), _stamp(rest[2])
    if number is None or at_ms is None:
        return None
    plain = normal(name)
    return Point(values=((plain, number),), labels=labels, at_ms=at_ms, unit=_unit(plain, units) if units else "")


def _skip_blanks(line: str, at: int) -> int:
    while line.startswith((" ", "\t"), at):
        at += 1
    return at


def _labels(line: str, at: int, name: str, labels: dict[str, str]) -> tuple[str, int]:
    """Read labels from behind the brace; return the name, which may stand among them in quotes, and where they end.

    The name is ``""`` when they are malformed.
    """
    count = 0
    while not line.startswith("}", at):
        check_labels(count := count + 1)
        found = _LABEL.match(line, at)
        if found is None:
            end = _skip_blanks(line, at)
            return (name, end + 1) if line.startswith("}", end) else ("", at)
        key = found[1] or _unescaped(found[2] or "")
        if found[3] is not None:
            labels[label(key)] = text(_unescaped(found[3]))
        elif name or found[1]:
            return "", at
        else:
            name = key
        at = found.end()
    return name, at + 1


def _unescaped(value: str) -> str:
    value = value[: 2 * TEXT_MAX]  # of which every second character may be a backslash
    if "\\" not in value:
        return value
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), value)


def _number(word: str) -> float | None:
    if "_" in word:
        return None
    try:
        return float(word)
    except ValueError:
        return None


def _stamp(word: str | None) -> int | None:
    """Return a time in milliseconds, told from seconds by its size; 0 when there is none, None when it is none."""
    number = 0.0 if word is None else _number(word)
    return None if number is None else stamps.of_number(number)


def _unit(name: str, units: dict[str, str]) -> str:
    """Return the unit that a comment gives the family of a name; a count has none."""
    for suffix in ("", "_total", "_sum"):
        if name.endswith(suffix) and (unit := units.get(name[: len(name) - len(suffix)])):
            return unit
    return ""
