"""What a stamp leaves out: the zone by its source, the year and the day by the append time.

Zones are configured in the inventory for a service, a host or a topic; the default is UTC. Names and rules of daylight
saving come from the system's zone files, else from the package ``tzdata``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from streams.core.config import ZoneSpec
from streams.ingest.stamps import DAY_MS, EARLIEST_MS, LEAP_YEAR_MS, WRONG, YEARLESS_MS

CLOCK_SKEW_MS: Final = 60_000
"""By how much a clock may be ahead of the broker's without that telling anything about summer time."""
_LATEST_MS: Final = 32_503_680_000_000
"""The year 3000: no append time is read as later than that."""
HOUR_MS: Final = 3_600_000
_LEAP_DAY: Final = 59
"""February 29th by its place in a leap year."""
_REMEMBERED_MAX: Final = 8192
_LEAP_YEARS_APART_MAX: Final = 8
_WALL: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - a clock on a wall, which has no zone
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def known(name: str) -> bool:
    """Say whether a name such as ``Europe/Berlin`` is one of the IANA's zones."""
    return _zone(name) is not None


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such zone, a path, or a directory of zones
        return None


class Zones:
    """The zones that are configured: a service's goes before its host's, and that before its topic's.

    A name in full goes before one that ends in ``*``, and the longer of those first. A zone that this process does not
    know, applied by another release, is UTC.
    """

    def __init__(self, specs: Iterable[ZoneSpec] = ()) -> None:
        rows = [(spec, zone) for spec in specs if (zone := _zone(spec.zone)) is not None]
        self._services: Final = _Names((spec.service, zone) for spec, zone in rows)
        self._hosts: Final = _Names((spec.host, zone) for spec, zone in rows)
        self._topics: Final = _Names((spec.topic, zone) for spec, zone in rows)
        self._of_topic: Final[dict[str, TopicZones]] = {}
        self.configured: Final = bool(rows)

    def zone(self, topic: str, service: str, host: str) -> ZoneInfo | None:
        """Return the zone of a source; None for UTC."""
        return self._services.of(service) or self._hosts.of(host) or self._topics.of(topic)

    def of_topic(self, topic: str) -> TopicZones:
        """Return what reads the stamps of a topic."""
        return self._of_topic.setdefault(topic, TopicZones(self, topic))


class TopicZones:
    """Reads the stamps of one topic's lines; remembers the zones of its sources."""

    def __init__(self, zones: Zones, topic: str) -> None:
        self._zones: Final = zones
        self._topic: Final = topic
        self._remembered: Final[dict[tuple[str, str], ZoneInfo | None]] = {}

    def at_ms(self, stamp: int, append_ms: int, service: str, host: str) -> int:
        """Return the time that a stamp means, in UTC; ``WRONG`` when it can't be true, 0 when there is none."""
        zone = self._zone(service, host) if stamp < 0 and self._zones.configured else None
        if zone is None and abs(stamp) >= EARLIEST_MS:
            return abs(stamp)
        now_ms = min(max(append_ms, EARLIEST_MS), _LATEST_MS)
        if zone is None:
            return completed(abs(stamp), now_ms)
        wall_ms = completed(-stamp, now_ms + _ahead_ms(zone, now_ms // HOUR_MS))
        return wall_ms if wall_ms <= WRONG else _utc_ms(wall_ms, now_ms, zone)

    def _zone(self, service: str, host: str) -> ZoneInfo | None:
        remembered, source = self._remembered, (service, host)
        if source not in remembered:
            if len(remembered) >= _REMEMBERED_MAX:
                remembered.clear()
            remembered[source] = self._zones.zone(self._topic, service, host)
        return remembered[source]


class _Names:
    """Zones by name, and by how a name begins."""

    def __init__(self, rows: Iterable[tuple[str, ZoneInfo]]) -> None:
        named = {name: zone for name, zone in rows if name}
        self._whole: Final = {name: zone for name, zone in named.items() if name[-1] != "*"}
        begins = ((name[:-1], zone) for name, zone in named.items() if name[-1] == "*")
        self._begins: Final = sorted(begins, key=lambda row: -len(row[0]))

    def of(self, name: str) -> ZoneInfo | None:
        """Return the zone of a name, or None."""
        return self._whole.get(name) or next((zone for begin, zone in self._begins if name.startswith(begin)), None)


def completed(stamp: int, now_ms: int) -> int:
    """Return a stamp with its year, or its day, chosen by the time at which its line was appended.

    The year is the one that brings it nearest, among those in which it lies at most a day ahead: no line is believed to
    be from later than that (``stamps.plausible``). The day is the nearest one.
    """
    if YEARLESS_MS <= stamp < YEARLESS_MS + LEAP_YEAR_MS:
        return _in_year(stamp - YEARLESS_MS, now_ms + DAY_MS)
    if DAY_MS <= stamp < 2 * DAY_MS:
        clock_ms = stamp - DAY_MS
        return clock_ms + (now_ms - clock_ms + DAY_MS // 2) // DAY_MS * DAY_MS
    return stamp


def _in_year(place_ms: int, latest_ms: int) -> int:
    """Return the last time not after ``latest_ms`` that has this place in a (leap) year."""
    day = place_ms // DAY_MS
    latest_year = _year(latest_ms // DAY_MS)
    for year in range(latest_year, latest_year - _LEAP_YEARS_APART_MAX - 1, -1):
        start_ms, leap = _start(year)
        if day == _LEAP_DAY and not leap:
            continue
        at_ms = start_ms + place_ms - (DAY_MS if day > _LEAP_DAY and not leap else 0)
        if at_ms <= latest_ms:
            return at_ms
    return WRONG


@lru_cache(maxsize=64)
def _year(day: int) -> int:
    return (_EPOCH + timedelta(days=day)).year


@lru_cache(maxsize=64)
def _start(year: int) -> tuple[int, bool]:
    """Return when a year begins in UTC, and whether it is a leap year."""
    begin = datetime(year, 1, 1, tzinfo=UTC)
    return (begin - _EPOCH) // _MILLISECOND, (datetime(year + 1, 1, 1, tzinfo=UTC) - begin).days == 366


def _utc_ms(wall_ms: int, now_ms: int, zone: ZoneInfo) -> int:
    """Return what a clock on a wall of a zone means.

    An hour that the clock shows twice in autumn: the later one that is not after the append time. An hour that it skips
    in spring is read with the offset before: 02:30 is what the clock shows as 03:30.
    """
    before, after = _offsets_ms(zone, wall_ms // 60_000)
    twice = after < before
    return wall_ms - (after if twice and wall_ms - after <= now_ms + CLOCK_SKEW_MS else before)


@lru_cache(maxsize=8192)
def _offsets_ms(zone: ZoneInfo, wall_minute: int) -> tuple[int, int]:
    """Return how far a zone is ahead of UTC when its clocks show a minute: by the offset before and after a change."""
    wall = _WALL + timedelta(minutes=wall_minute)
    before, after = (wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return before // _MILLISECOND, after // _MILLISECOND


@lru_cache(maxsize=1024)
def _ahead_ms(zone: ZoneInfo, hour: int) -> int:
    """Return how far a zone is ahead of UTC at the beginning of an hour since 1970."""
    ahead = (_EPOCH + timedelta(hours=hour)).astimezone(zone).utcoffset() or timedelta()
    return ahead // _MILLISECOND


UTC_ONLY: Final = Zones().of_topic("")
"""What reads stamps while nothing is configured."""
