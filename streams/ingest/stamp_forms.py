"""How dates and clocks are written in text: by ISO, by mail, by syslog, by databases, by loggers of many languages.

``find`` looks for a clock (``10:00:00``) and then at what stands before it: a clock counts only with a date, or alone
at the very beginning of a line. So ports, versions, hardware addresses and durations are no times. Which of two numbers
is the month: ``2/1/2024`` begins with it (United States, .NET's invariant culture), ``1.2.2024`` and ``1-2-2024`` begin
with the day; a number above 12 is the day in any place. ``24/02/01`` begins with the year, but where AM or PM follows.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

HOURS_OF_ZONE: Final = {
    b"Z": 0, b"UTC": 0, b"GMT": 0, b"UT": 0, b"WET": 0, b"WEST": 1, b"CET": 1, b"CEST": 2, b"EET": 2, b"EEST": 3,
    b"MSK": 3, b"EST": -5, b"EDT": -4, b"CDT": -5, b"MST": -7, b"MDT": -6, b"PST": -8, b"PDT": -7, b"AKST": -9,
    b"AKDT": -8, b"HST": -10,
}  # fmt: skip
"""Names of zones that mean one thing. Not here, so read in the zone of the source: CST (Chicago, Shanghai, Havana), IST
(India, Israel, Ireland), BST (London, Dhaka) and the names of all other regions."""
ZONE: Final = (
    rb"(?:(?:UTC|GMT)?[+-](?:0\d|1[0-4])(?::?[0-5]\d)?(?!\d|[.:]\d)|(?:"
    + b"|".join(sorted(HOURS_OF_ZONE, reverse=True))
    + rb")(?![\w+-]))"
)
"""An offset as ``+0530``, ``+05:30``, ``-03``, ``GMT+02:00``, or a name of the table above."""
FRACTION: Final = rb"(?:[.,](?P<fraction>\d{1,9})\d*|:(?P<colon>\d{3})(?!\d))?"

_NAMES: Final = (
    *(rb"Jan(?:uary)?", rb"Feb(?:ruary)?", rb"Mar(?:ch)?", rb"Apr(?:il)?", rb"May", rb"June?", rb"July?"),
    *(rb"Aug(?:ust)?", rb"Sep(?:t(?:ember)?)?", rb"Oct(?:ober)?", rb"Nov(?:ember)?", rb"Dec(?:ember)?"),
)
_MONTHS: Final = {name[:3].lower(): number for number, name in enumerate(_NAMES, start=1)}
_MONTH: Final = rb"(?i:" + b"|".join(_NAMES) + rb")"

_CLOCK: Final = re.compile(
    rb"(?<![\d.])(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)" + FRACTION + rb"(?!\d|:\d))?(?!\d|:\d)"
    rb"(?:\s?(?P<half>[AaPp])\.?[Mm]\b\.?)?"
    rb"(?:\s?(?P<zone>" + ZONE + rb"))?"
    rb"(?:\s(?P<word>[A-Z]{3,5}\s)?(?P<year>(?:19|20)\d\d)(?![\w.:-]))?"
)
_BETWEEN: Final = rb"(?:[T_\-]|::?|,?\s+(?:(?:@|at|-)\s)?|,|\]\s?\[|\s+time=\"?)\Z"
"""What stands between a date and its clock."""
Date = dict[str, bytes | Any]
"""The groups of ``_DATE``, by name; None for those that did not take part."""
_DATE: Final = re.compile(
    rb"(?:(?<!\d)(?P<y>\d{4})(?P<ysep>[-/.])(?P<ymonth>\d\d?)(?P=ysep)(?P<yday>\d\d?)"
    rb"|(?<!\d)(?P<c>(?:19|20)\d\d)(?P<cmonth>\d\d)(?P<cday>\d\d)"
    rb"|(?<!\d)(?P<dday>\d\d?)[-/ .](?P<dname>" + _MONTH + rb")(?:[-/ ,.]{1,2}(?P<dyear>\d{4}|\d\d))?"
    rb"|(?<![A-Za-z])(?P<weekday>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+)?"
    rb"(?P<nname>" + _MONTH + rb")\.?\s+(?P<nday>\d\d?)(?:,?\s+(?P<nyear>\d{4}))?"
    rb"|(?<![\d./-])(?P<a>\d\d?)(?P<asep>[-/.])(?P<b>\d\d?)(?P=asep)(?P<ayear>\d{4})"
    rb"|(?<![\d./-])(?P<p>\d\d?)/(?P<q>\d\d?)/(?P<r>\d\d)"
    rb"|(?<![\w.])(?P<six>\d{6})"
    rb"|(?<!\w)[IWEFD](?P<g>20\d\d(?=\d{4}))?(?P<gmonth>\d\d)(?P<gday>\d\d)"
    rb"|(?<![\w./-])(?P<lmonth>\d\d)[-/](?P<lday>\d\d))" + _BETWEEN
)
_PACKED: Final = re.compile(
    rb"(?<![\d.])(?P<year>(?:19|20)\d\d)(?:(?P<month>\d\d)(?P<day>\d\d)T(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
    rb"|-(?P<month2>\d\d)-(?P<day2>\d\d)-(?P<hour2>\d\d)\.(?P<minute2>\d\d)\.(?P<second2>\d\d))(?!\d)"
    + FRACTION
    + rb"(?P<zone>"
    + ZONE
    + rb")?"
)
"""``20240201T100000Z`` and DB2's ``2024-02-01-10.00.00.250000``: clocks without colons."""
_PACKED_SIGN: Final = re.compile(rb"\d{4}T\d|\d\.\d\d\.\d\d")
"""What stands in each of these, and in hardly any other text."""
_DATE_BYTES: Final = 40
_DATE_BYTES_MIN: Final = 6
_ISO_BYTES: Final = 12
_ISO_DATE: Final = re.compile(rb"[^\d\[]\d{4}-\d\d-\d\d[T ]\Z")
"""No other form ends as this one does, so nothing before it matters, and it is the same for all lines of a day."""
_CLOCKS_MAX: Final = 3


class Clock(NamedTuple):
    """What ``_CLOCK`` found, but for the fraction of a second."""

    hour: bytes
    minute: bytes
    second: bytes | None
    half: bytes | None
    zone: bytes | None
    word: bytes | None
    year: bytes | None


_WHOLE: Final = tuple(_CLOCK.groupindex[name] for name in Clock._fields)


class Found(NamedTuple):
    """A stamp as it was written, to the second. ``year`` 0: none; ``month`` 0: no date at all; ``zone`` None: none."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    zone: bytes | None


def find(head: bytes) -> tuple[Found, int] | None:
    """Return the first stamp in the beginning of a line, and its milliseconds."""
    if b":" in head:
        for number, clock in enumerate(_CLOCK.finditer(head), start=1):
            before = _before(head, clock.start())
            found = _dated(before, clock.group(*_WHOLE)) if _date_in(before) else _alone(head, clock)
            if found:
                return found, _ms(clock["fraction"] or clock["colon"])
            if number == _CLOCKS_MAX:
                break
    packed = _PACKED.search(head) if _PACKED_SIGN.search(head) else None
    return (_unpacked(packed), _ms(packed["fraction"] or packed["colon"])) if packed else None


def _before(head: bytes, start: int) -> bytes:
    """Return what stands before a clock, without what stands before a bracket around both (an address, a level)."""
    if _ISO_DATE.match(head, max(0, start - _ISO_BYTES), start):
        return head[start - _ISO_BYTES : start]
    before = head[max(0, start - _DATE_BYTES) : start]
    bracket = before.rfind(b"[")
    return before[bracket:] if 0 < bracket < len(before) - _DATE_BYTES_MIN else before


@lru_cache(maxsize=4096)
def _dated(before: bytes, whole: tuple[Any, ...]) -> Found | None:
    """Return the stamp of a clock and the date that ends just before it; the same for the lines of a second."""
    date, clock = _date_in(before), Clock(*whole)
    return _found(clock, *_day_of(date, clock)) if date and (clock.second or date["y"] or clock.half) else None


@lru_cache(maxsize=4096)
def _date_in(before: bytes) -> Date | None:
    """Return the parts of the date that ends just before a clock; the same for most lines of a day."""
    date = _DATE.search(before)
    return date.groupdict() if date else None


def _alone(head: bytes, clock: re.Match[bytes]) -> Found | None:
    """Return a clock that begins the line without a date, as in ``10:00:00.123 INFO`` and ``[10:00:00] done``."""
    begins = clock["second"] is not None and head[: clock.start()] in {b"", b"["} and head[clock.end() :][:1] in _ENDS
    return _found(Clock(*clock.group(*_WHOLE)), 0, 0, 0) if begins else None


_ENDS: Final = frozenset({b"", b" ", b"\t", b"]", b"|", b","})


def _found(clock: Clock, year: int, month: int, day: int) -> Found:
    hour = _hour(int(clock.hour), clock.half)
    return Found(year, month, day, hour, int(clock.minute), int(clock.second or 0), clock.zone)


def _ms(fraction: bytes | None) -> int:
    return int(fraction[:3].ljust(3, b"0")) if fraction else 0


def _hour(hour: int, half: bytes | None) -> int:
    if not half or not 1 <= hour <= 12:
        return hour
    return hour % 12 + (12 if half in b"Pp" else 0)


def _day_of(date: Date, clock: Clock) -> tuple[int, int, int]:
    """Return (year or 0, month, day) of whichever form was met."""
    if date["nname"]:
        return _named_first(date, clock)
    if date["dname"]:
        return _full_year(date["dyear"]), _MONTHS[date["dname"][:3].lower()], int(date["dday"])
    if date["a"]:
        return int(date["ayear"]), *_month_day(int(date["a"]), int(date["b"]), day_first=date["asep"] != b"/")
    if date["p"]:
        return _short(date["p"], date["q"], date["r"], clock)
    if date["six"]:
        return _full_year(date["six"][:2]), int(date["six"][2:4]), int(date["six"][4:])
    style = next(style for style in "ycgl" if date[f"{style}month"])
    return int(date.get(style) or 0), int(date[f"{style}month"]), int(date[f"{style}day"])


def _named_first(date: Date, clock: Clock) -> tuple[int, int, int]:
    """Return the date of ``Feb  1``; its year stands before the clock or, as in ``date``'s output, after it."""
    year = date["nyear"] or (clock.year if date["weekday"] or not clock.word else None)
    return _full_year(year), _MONTHS[date["nname"][:3].lower()], int(date["nday"])


def _month_day(first: int, second: int, *, day_first: bool) -> tuple[int, int]:
    if (day_first and second <= 12) or first > 12:
        return second, first
    return first, second


def _short(p: bytes, q: bytes, r: bytes, clock: Clock) -> tuple[int, int, int]:
    """Return the date of three short numbers: year first, but month first with AM or PM and where a digit is single."""
    if clock.half or len(p) == 1 or len(q) == 1 or int(q) > 12:
        return _full_year(r), *_month_day(int(p), int(q), day_first=False)
    return _full_year(p), int(q), int(r)


def _full_year(digits: bytes | None) -> int:
    if not digits:
        return 0
    return int(digits) if len(digits) == 4 else 2000 + int(digits)


def _unpacked(found: re.Match[bytes]) -> Found:
    parts = (found[name] or found[f"{name}2"] for name in ("month", "day", "hour", "minute", "second"))
    month, day, hour, minute, second = map(int, parts)
    return Found(int(found["year"]), month, day, hour, minute, second, found["zone"])
