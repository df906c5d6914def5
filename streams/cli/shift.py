"""Move the stamps of a log file in time, each in its own format, so that the file ends now.

Wall-clock fields are moved and zones are left alone, so the distance between two lines stays what it was. A line that
is a JSON object is searched for stamps everywhere, any other only at its head.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from streams.ingest import stamps
from streams.ingest.zones import UTC_ONLY

_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH: Final = rb"(?:" + b"|".join(_MONTHS) + rb")"


def _clock(style: bytes) -> bytes:
    """Return the expression of a time of day, with groups named for its style."""
    return rb"(?P<?h>\d\d):(?P<?mi>\d\d):(?P<?s>\d\d)(?P<?f>[.,]\d{1,9})?".replace(b"<?", b"<" + style)


_STAMP: Final = re.compile(
    rb"(?P<iy>\d{4})(?P<i1>[-/])(?P<im>\d\d)[-/](?P<id>\d\d)(?P<i2>[T ])" + _clock(b"i") + rb"(?P<iz>Z|[+-]\d\d:?\d\d)?"
    rb"|(?P<dd>\d\d)(?P<d1>[-/])(?P<dm>"
    + _MONTH
    + rb")[-/](?P<dy>\d{4})(?P<d2>[: ])"
    + _clock(b"d")
    + rb"(?P<dz> ?[+-]\d\d:?\d\d)?"
    rb"|(?P<sm>" + _MONTH + rb")(?P<s1> {1,2})(?P<sd>\d{1,2}) " + _clock(b"s") + rb"(?P<sy> \d{4})?"
    rb"|(?P<np>^\[?|\"(?:@?timestamp|ts|t|time|datetime|date|timeUnixNano|observedTimeUnixNano)\"\s*:\s*\"?)"
    rb"(?P<n>1\d{9}(?:\.\d{1,9})?|1\d{12}|1\d{15}|1\d{18})(?=[\]\s,}\"]|$)"
)
"""ISO; day first; syslog with or without a year; an epoch of 2001 to 2033 at the start or under a key for times."""


class Shift:
    """Moves stamps by one distance; ``reference_ms`` chooses the year of a stamp that has none."""

    def __init__(self, distance_ms: int, reference_ms: int) -> None:
        self.distance_ms = distance_ms
        self._reference_ms = reference_ms

    def __call__(self, line: bytes) -> bytes:
        """Return the line with its stamps moved."""
        head = _head(line)
        return _STAMP.sub(self._moved, head) + line[len(head) :]

    def _moved(self, found: re.Match[bytes]) -> bytes:
        if found["n"]:
            return bytes(found["np"]) + _moved_number(found["n"], self.distance_ms)
        at = _wall(found, self._reference_ms)
        return found[0] if at is None else _written(found, at + timedelta(milliseconds=self.distance_ms))


def newest_ms(lines: Iterable[bytes], reference_ms: int) -> int:
    """Return the time of the last line that has a stamp (its first one); 0 when none has."""
    newest = 0
    for line in lines:
        found = _STAMP.search(_head(line))
        if found:
            newest = _time(found, reference_ms) or newest
    return newest


def _head(line: bytes) -> bytes:
    return line if line.lstrip()[:1] == b"{" else line[: stamps.HEAD_BYTES]


def _time(found: re.Match[bytes], reference_ms: int) -> int:
    if found["n"]:
        return stamps.of_number(float(found["n"]))
    at = _wall(found, reference_ms)
    if at is None:
        return 0
    zone = found["iz"] or found["dz"]
    return int(at.timestamp() * 1000) - (stamps.zone_ms(zone.strip()) if zone else 0)


def _wall(found: re.Match[bytes], reference_ms: int) -> datetime | None:
    """Return what the clock of the writer showed, as if it had been in UTC; ``None`` for an impossible date."""
    if found["sm"] and not found["sy"]:
        at_ms = UTC_ONLY.at_ms(stamps.of_yearless(found[0]), reference_ms, "", "")
        return datetime.fromtimestamp(at_ms / 1000, UTC) if at_ms > stamps.WRONG else None
    style = "i" if found["iy"] else "d" if found["dy"] else "s"
    month = found[f"{style}m"]
    try:
        return datetime(
            int(found[f"{style}y"]),
            _MONTHS.index(month) + 1 if month in _MONTHS else int(month),
            int(found[f"{style}d"]),
            int(found[f"{style}h"]),
            int(found[f"{style}mi"]),
            min(int(found[f"{style}s"]), 59),
            int((found[f"{style}f"] or b".0")[1:7].ljust(6, b"0")),
            tzinfo=UTC,
        )
    except ValueError:
        return None


def _written(found: re.Match[bytes], at: datetime) -> bytes:
    """Write a time as the match was written."""
    month = _MONTHS[at.month - 1].decode()
    if found["iy"]:
        day, zone = f"{at:%Y}{_text(found, 'i1')}{at:%m}{_text(found, 'i1')}{at:%d}", _text(found, "iz")
        return f"{day}{_text(found, 'i2')}{at:%H:%M:%S}{_fraction(found['if'], at)}{zone}".encode()
    if found["dy"]:
        day, zone = f"{at:%d}{_text(found, 'd1')}{month}{_text(found, 'd1')}{at:%Y}", _text(found, "dz")
        return f"{day}{_text(found, 'd2')}{at:%H:%M:%S}{_fraction(found['df'], at)}{zone}".encode()
    year = f" {at:%Y}" if found["sy"] else ""
    day = f"{month} {at.day:2}" if len(found["s1"] + found["sd"]) == 3 else f"{month} {at.day}"
    return f"{day} {at:%H:%M:%S}{_fraction(found['sf'], at)}{year}".encode()


def _text(found: re.Match[bytes], group: str) -> str:
    return (found[group] or b"").decode()


def _fraction(old: bytes | None, at: datetime) -> str:
    """Return the fraction of a second with the separator and as many digits as the old one."""
    return chr(old[0]) + f"{at.microsecond:06}000"[: len(old) - 1] if old else ""


def _moved_number(digits: bytes, distance_ms: int) -> bytes:
    """Move an epoch in seconds (with or without a fraction), milliseconds, microseconds or nanoseconds."""
    whole, point, fraction = digits.partition(b".")
    scale = 10 ** len(fraction) if point else 10 ** (len(whole) - 10)
    moved = int(whole + fraction) + distance_ms * scale // 1000
    text = str(moved).encode()
    return text[: -len(fraction)] + point + text[-len(fraction) :] if point else text
