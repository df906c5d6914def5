"""When a line says it happened, as one number: a stamp.

A stamp is milliseconds since 1970. What a producer leaves out is marked in the number, and filled in by
``streams.ingest.zones`` when the line's source and append time are known:

- ``EARLIEST_MS`` and up: a time in UTC;
- in 1972: a date without a year; on January 2nd 1970: a clock without a date;
- negative: any of these without a zone, minus what it would be in UTC;
- ``WRONG``: a stamp that can't be true, such as February 30th, 1969 or epoch 12; 0: no stamp.

Every function here is pure and knows no zone but one that is written in the stamp.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from streams.ingest import stamp_forms
from streams.ingest.stamp_forms import FRACTION, HOURS_OF_ZONE, ZONE, Found

DAY_MS: Final = 86_400_000
EARLIEST_MS: Final = 946_684_800_000
"""2000-01-01: an earlier event time is a clock that was never set."""
YEARLESS_MS: Final = 63_072_000_000
"""The beginning of 1972, a leap year, in which dates without a year are kept."""
LEAP_YEAR_MS: Final = 366 * DAY_MS
WRONG: Final = 1
HEAD_BYTES: Final = 96
"""A text line's stamp begins and ends within this many bytes."""

_YEARLESS_YEAR: Final = 1972
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
THOUSAND: Final = {f"{number:03}": number for number in range(1000)}
_DATE_SIGNS: Final = frozenset({b"-", b"/"})
_ISO_SECOND: Final = re.compile(rb"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)")
_ISO_TAIL: Final = re.compile(FRACTION + rb"(?:\s?(?P<zone>" + ZONE + rb"))?")
_ISO_TAIL_END: Final = 48
_DIGITS: Final = re.compile(r"-?\d{9,19}(?:\.\d{1,9})?")
_COMPACT: Final = re.compile(r"(?:19|20)\d{12}")
_EPOCH_START: Final = re.compile(
    rb"\[?(?P<number>\d{10}(?:\.\d{1,9})?|\d{13})[\]\s]|type=\w+ msg=audit\((?P<audit>\d{10}\.\d{3}):"
)


def of_number(number: float) -> int:
    """Return the stamp of an epoch in seconds, milliseconds, microseconds or nanoseconds, told by its size."""
    if not 0 < number < 1e19:  # also false for NaN and the infinities
        return 0
    if number < 1e11:
        at_ms = int(number * 1000 + 0.001)  # a double of seconds may lie a hair below its millisecond
    elif number < 1e14:
        at_ms = int(number)
    else:
        at_ms = int(number // 1000) if number < 1e17 else int(number // 1_000_000)
    return at_ms if at_ms >= EARLIEST_MS else WRONG


def of_value(value: object) -> int:
    """Return the stamp of a JSON time field: number, text, digits, MongoDB's, log4j2's or protobuf's object."""
    if isinstance(value, str):
        return of_text(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return of_number(value)
    if not isinstance(value, dict):
        return 0
    for seconds, fraction in (("epochSecond", "nanoOfSecond"), ("seconds", "nanos")):  # log4j2's Instant, protobuf's
        second, nanos = value.get(seconds), value.get(fraction, 0)
        if type(second) is int and type(nanos) is int:
            return of_number(second * 1000 + nanos // 1_000_000)
    inner = value.get("$date") or value.get("$numberLong")
    return of_value(inner) if isinstance(inner, (str, int, float, dict)) else 0


def of_text(text: str) -> int:
    """Return the stamp that stands alone in a string."""
    if len(text) == 24 and text[23] == "Z" and text[19] == ".":
        base = second(text[:19])
        milliseconds = THOUSAND.get(text[20:23])
        if base > WRONG and milliseconds is not None:
            return base + milliseconds
    if _DIGITS.fullmatch(text):
        if _COMPACT.fullmatch(text):
            return of_head(f"{text[:8]}T{text[8:]}".encode(), 0)
        return of_number(float(text) if "." in text else int(text))
    return of_head(text[:HEAD_BYTES].encode("utf-8", "replace"), 0)


@lru_cache(maxsize=4096)
def second(text: str) -> int:
    """Return the milliseconds of ``YYYY-MM-DDTHH:MM:SS`` in UTC; 0 when it is none, ``WRONG`` when it can't be true."""
    return _second_of(text.encode("utf-8", "replace"))


@lru_cache(maxsize=4096)
def _second_of(text: bytes) -> int:
    found = _ISO_SECOND.fullmatch(text)
    if not found:
        return 0
    year, month, day, hour, minute, second = map(int, found.groups())
    at_ms = _utc_ms(Found(year, month, day, hour, minute, second, None))
    return at_ms if at_ms >= EARLIEST_MS else WRONG


def of_start(line: bytes) -> int:
    """Return the stamp of a line that begins with ``YYYY-MM-DD HH:MM:SS``, else 0."""
    base = _second_of(line[:19]) if line[4:5] in _DATE_SIGNS else 0
    if base <= WRONG:
        return base
    tail = _ISO_TAIL.match(line, 19, _ISO_TAIL_END)
    if tail is None or tail.end() == 19:
        return -base
    fraction, colon, zone = tail.groups()
    fraction = fraction or colon
    at_ms = base + int(fraction[:3].ljust(3, b"0")) if fraction else base
    return -at_ms if zone is None else at_ms - zone_ms(zone)


def of_head(head: bytes, append_ms: int) -> int:
    """Return the stamp in the first ``HEAD_BYTES`` of a text line.

    A whole number at its beginning is an epoch only when it lies in the year before ``append_ms``: it may be an id.
    """
    at = of_start(head)
    if at:
        return at
    found = stamp_forms.find(head)
    if found is not None:
        whole, milliseconds = found
        return _with_ms(_marked(whole), milliseconds)
    start = _EPOCH_START.match(head)
    if start is None:
        return 0
    at_ms = of_number(float(start["audit"] or start["number"]))
    recent = append_ms - LEAP_YEAR_MS <= at_ms <= append_ms + DAY_MS
    return at_ms if recent or b"." in start[0] else 0


def of_syslog(stamp: bytes, fraction: bytes | None) -> int:
    """Return the stamp of ``Feb  4 09:34:10`` with the digits of its fraction of a second, if it has one."""
    at_ms = of_yearless(stamp)
    return _with_ms(at_ms, int(fraction[:3].ljust(3, b"0"))) if fraction else at_ms


@lru_cache(maxsize=4096)
def of_yearless(stamp: bytes) -> int:
    """Return the stamp of ``Feb  4 09:34:10``, which is the same for every line of a second."""
    found = stamp_forms.find(stamp)
    return _marked(found[0]) if found else 0


def _with_ms(second: int, milliseconds: int) -> int:
    """Return the stamp of a second with its milliseconds."""
    if second < 0:
        return second - milliseconds
    return second + milliseconds if second > WRONG else second


@lru_cache(maxsize=4096)
def _marked(found: Found) -> int:
    """Return the stamp of a second that was found, with a mark for each part that is missing."""
    if not found.month:
        at_ms = _utc_ms(found._replace(year=1970, month=1, day=2))
    elif not found.year:
        at_ms = _utc_ms(found._replace(year=_YEARLESS_YEAR))
    else:
        at_ms = _utc_ms(found)
        at_ms = at_ms if at_ms >= EARLIEST_MS else 0
    if not at_ms:
        return WRONG
    if found.zone is None:
        return -at_ms
    moved = at_ms - zone_ms(found.zone)
    if not found.month:
        return DAY_MS + moved % DAY_MS
    return moved if found.year else YEARLESS_MS + (moved - YEARLESS_MS) % LEAP_YEAR_MS


def _utc_ms(found: Found) -> int:
    """Put the parts together as if they were UTC; 0 for an impossible date such as February 30th."""
    minute_ms = _minute_ms(*found[:5])
    if not minute_ms or found.second > 60:
        return 0
    return minute_ms + min(found.second, 59) * 1000  # a leap second counts as the one before


@lru_cache(maxsize=4096)
def _minute_ms(year: int, month: int, day: int, hour: int, minute: int) -> int:
    try:
        whole = datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return 0
    return (whole - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=1024)
def zone_ms(zone: bytes) -> int:
    """Return how far a zone such as ``+05:30``, ``-03``, ``GMT+02:00`` or ``CET`` is ahead of UTC."""
    if zone in HOURS_OF_ZONE:
        return HOURS_OF_ZONE[zone] * 3_600_000
    digits = zone.lstrip(b"UTCGM").replace(b":", b"")
    minutes = int(digits[1:3]) * 60 + int(digits[3:5] or 0)
    return (minutes if digits[:1] == b"+" else -minutes) * 60_000


def plausible(at_ms: int, append_ms: int) -> bool:
    """Say whether an event time can be true: from 2000 on, and at most a day after the line was appended."""
    return EARLIEST_MS <= at_ms <= append_ms + DAY_MS
