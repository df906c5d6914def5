"""When a line says it happened: milliseconds since 1970 UTC, read from what producers write.

Every function is pure. A stamp without a zone is UTC; one without a year is in the year that brings it nearest to the
append time. 0 means that there is no stamp.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
EARLIEST_MS: Final = 946_684_800_000
"""2000-01-01: an earlier event time is a clock that was never set."""
HEAD_BYTES: Final = 96
"""A text line's stamp begins and ends within this many bytes."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), start=1
    )
}
_MONTH: Final = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_ZONE: Final = rb"(?P<zone>Z|UTC\b|GMT\b|[+-]\d\d:?\d\d)?"

_ISO: Final = re.compile(
    rb"(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ](?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    rb"(?:[.,](?P<fraction>\d{1,9}))?\s?" + _ZONE
)
_DAY_FIRST: Final = re.compile(
    rb"(?P<day>\d\d)[/-](?P<name>" + _MONTH + rb")[/-](?P<year>\d{4})[: ]"
    rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?\s?" + _ZONE
)
_WEEKDAY: Final = re.compile(
    rb"(?P<name>" + _MONTH + rb") {1,2}(?P<day>\d{1,2}) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    rb"(?:[.,](?P<fraction>\d{1,9}))? (?P<year>\d{4})\b" + _ZONE
)
_YEARLESS: Final = re.compile(
    rb"(?P<name>" + _MONTH + rb") {1,2}(?P<day>\d{1,2}) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    rb"(?:[.,](?P<fraction>\d{1,9}))?"
)
_SHORT_YEAR: Final = re.compile(
    rb"(?<!\d)(?P<year>\d\d)/(?P<month>\d\d)/(?P<day>\d\d) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    rb"(?P<fraction>)(?P<zone>)"
)
_DATED: Final = (_DAY_FIRST, _WEEKDAY, _SHORT_YEAR)
_EPOCH_START: Final = re.compile(rb"\[?(\d{10}(?:\.\d{1,9})?|\d{13})[\]\s]")
_THOUSAND: Final = {f"{number:03}": number for number in range(1000)}
_DIGITS: Final = re.compile(r"-?\d{9,19}(?:\.\d{1,9})?")


def of_number(number: float) -> int:
    """Return milliseconds for an epoch in seconds, milliseconds, microseconds or nanoseconds, told by its size."""
    if not 0 < number < 1e19:  # also false for NaN and the infinities
        return 0
    if number < 1e11:
        return int(number * 1000)
    if number < 1e14:
        return int(number)
    return int(number // 1000) if number < 1e17 else int(number // 1_000_000)


def of_value(value: object) -> int:
    """Return milliseconds for the value of a JSON time field: number, ISO string, digits, MongoDB's or log4j2's."""
    if isinstance(value, str):
        return of_text(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return of_number(value)
    if isinstance(value, dict):
        second, nanos = value.get("epochSecond"), value.get("nanoOfSecond")
        if type(second) is int and type(nanos) is int:  # log4j2's Instant
            return of_number(second * 1000 + nanos // 1_000_000)
        inner = value.get("$date")
        return of_value(inner) if isinstance(inner, (str, int, float)) else 0
    return 0


def of_text(text: str) -> int:
    """Return milliseconds for a time that stands alone in a string."""
    if len(text) == 24 and text[23] == "Z" and text[19] == ".":
        base = _second(text[:19])
        milliseconds = _THOUSAND.get(text[20:23])
        if base and milliseconds is not None:
            return base + milliseconds
    if _DIGITS.fullmatch(text):
        return of_number(float(text) if "." in text else int(text))
    return of_head(text[:HEAD_BYTES].encode("utf-8", "replace"), 0)


@lru_cache(maxsize=4096)
def _second(text: str) -> int:
    """Return the milliseconds of ``YYYY-MM-DDTHH:MM:SS`` in UTC; 0 when it is none."""
    found = _ISO.fullmatch(text.encode("utf-8", "replace"))
    return _instant(found, int(found["year"])) if found else 0


def of_head(head: bytes, append_ms: int) -> int:
    """Return the time that stands in the first ``HEAD_BYTES`` of a text line; ``append_ms`` chooses a missing year."""
    found = _ISO.search(head)
    if found:
        return _instant(found, int(found["year"]))
    for pattern in _DATED:
        found = pattern.search(head)
        if found:
            year = int(found["year"])
            return _instant(found, year if year >= 100 else 2000 + year)
    found = _YEARLESS.search(head)
    if found:
        return of_yearless(found[0], append_ms // HOUR_MS)
    start = _EPOCH_START.match(head)
    return of_number(float(start[1])) if start else 0


@lru_cache(maxsize=4096)
def of_yearless(stamp: bytes, append_hour: int) -> int:
    """Return the time of ``Feb  4 09:34:10`` in the year that brings it nearest to an append time, not after it.

    ``append_hour`` is in hours since 1970. A day ahead is allowed for clocks that differ.
    """
    found = _YEARLESS.match(stamp)
    if found is None:
        return 0
    append_ms = append_hour * HOUR_MS
    year = (_EPOCH + timedelta(hours=min(append_hour, 70_000_000))).year
    candidates = [at for y in (year - 1, year, year + 1) if (at := _instant(found, y)) <= append_ms + DAY_MS]
    return min(candidates, key=lambda at: abs(at - append_ms), default=0)


def _instant(found: re.Match[bytes], year: int) -> int:
    """Put the groups of a match together; 0 for an impossible date such as February 30th."""
    groups = found.groupdict()
    name = groups.get("name")
    month = _MONTHS[name.lower()] if name else int(groups["month"])
    try:
        whole = datetime(year, month, int(groups["day"]), int(groups["hour"]), int(groups["minute"]), tzinfo=UTC)
    except ValueError:
        return 0
    second_ms = min(int(groups["second"]), 59) * 1000  # a leap second counts as the one before
    fraction = groups.get("fraction")
    milliseconds = int(fraction[:3].ljust(3, b"0")) if fraction else 0
    at_ms = (whole - _EPOCH) // timedelta(milliseconds=1) + second_ms + milliseconds
    return at_ms - zone_ms(groups.get("zone"))


def zone_ms(zone: bytes | None) -> int:
    """Return how far a zone such as ``+05:30`` is ahead of UTC; 0 for none and for ``Z``."""
    if not zone or zone[:1] not in b"+-":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return (minutes if zone[:1] == b"+" else -minutes) * 60_000


def plausible(at_ms: int, append_ms: int) -> bool:
    """Say whether an event time can be true: from 2000 on, and at most a day after the line was appended."""
    return EARLIEST_MS <= at_ms <= append_ms + DAY_MS
