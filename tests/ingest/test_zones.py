"""Stamps that leave something out: which zone, which year, which day."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streams.core.config import ZoneSpec
from streams.ingest import stamps
from streams.ingest.slicer import Slicer
from streams.ingest.zones import UTC_ONLY, Zones, known
from tests.ingest.given import APPEND_MS, Given, at, cut, json, only, slicer

SPECS = (
    ZoneSpec(topic="logs", zone="Asia/Tokyo"),
    ZoneSpec(host="eu-*", zone="Europe/Berlin"),
    ZoneSpec(host="eu-w*", zone="Europe/Lisbon"),
    ZoneSpec(host="eu-w9", zone="Asia/Kolkata"),
    ZoneSpec(service="pay", zone="America/New_York"),
)


def zoned(*specs: ZoneSpec) -> Slicer:
    """Return a slicer with zones."""
    by = slicer()
    by.zoned(specs)
    return by


SOURCES = {
    "the topic's": ("Feb  1 10:00:00 us-1 shop[1]: x", "01:00:00"),
    "the host's before the topic's": ("Feb  1 10:00:00 eu-1 shop[1]: x", "09:00:00"),
    "the longer beginning first": ("Feb  1 10:00:00 eu-w1 shop[1]: x", "10:00:00"),
    "the whole name first": ("Feb  1 10:00:00 eu-w9 shop[1]: x", "04:30:00"),
    "the service's before the host's": ("Feb  1 10:00:00 eu-1 pay[1]: x", "15:00:00"),
    "a line without a service of its own": ("2024-02-01 10:00:00.250 INFO x", "01:00:00.250"),
    "JSON by its service": ('{"ts":"2024-02-01 10:00:00,250","service":"pay","message":"x"}', "15:00:00.250"),
    "JSON by its host": ('{"ts":"2024-02-01T10:00:00","host":"eu-1","service":"a","message":"x"}', "09:00:00"),
    "an offset is never moved": ("2024-02-01 10:00:00+03:00 x", "07:00:00"),
    "Z is never moved": ("2024-02-01T10:00:00.250Z eu-1 pay[1]: x", "10:00:00.250"),
    "a named zone is never moved": ("2024-02-01 10:00:00.250 CET [7] LOG:  x", "09:00:00.250"),
    "an epoch is never moved": ('{"ts":1706781600.25,"service":"pay","message":"x"}', "10:00:00.250"),
    "an ambiguous name is no zone": ("2024-02-01 10:00:00.250 CST [7] LOG:  x", "01:00:00.250"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_source(name: str) -> None:
    """A stamp without a zone is read in its service's, its host's or its topic's; one that names a zone in that."""
    line, wanted = SOURCES[name]
    piece = only(cut(Given(line.encode()), by=zoned(*SPECS)))
    assert piece.tallies[0].at_ms == at(f"2024-02-01T{wanted}") // 1000 * 1000


def test_utc_is_the_default() -> None:
    """Without a zone for its source a stamp is in UTC."""
    piece = only(cut(Given(b"2024-02-01 10:00:00 x"), by=zoned(ZoneSpec(host="h", zone="Asia/Tokyo"))))
    assert piece.tallies[0].at_ms == at("2024-02-01T10:00:00")


def test_zones_change_between_cuts() -> None:
    """Zones hold for what is cut after they were given, also for sources that were met before."""
    by = zoned(ZoneSpec(topic="logs", zone="Asia/Tokyo"))
    line = b"2024-02-01 10:00:00 x"
    before = only(cut(Given(line), by=by)).tallies[0].at_ms
    by.zoned([])
    assert only(cut(Given(line, offset=1), by=by)).tallies[0].at_ms - before == 9 * 3_600_000


def test_a_zone_that_is_not_known_is_utc() -> None:
    """A zone that another release applied and this process doesn't know changes nothing."""
    piece = only(cut(Given(b"2024-02-01 10:00:00 x"), by=zoned(ZoneSpec(topic="logs", zone="Mars/Olympus"))))
    assert piece.tallies[0].at_ms == at("2024-02-01T10:00:00")


DAYLIGHT_SAVING = {
    "winter": ("2024-03-30 02:30:00", "2024-03-30T12:00", "2024-03-30T01:30"),
    "summer": ("2024-04-01 02:30:00", "2024-04-01T12:00", "2024-04-01T00:30"),
    "skipped, so moved on": ("2024-03-31 02:30:00", "2024-03-31T01:30", "2024-03-31T01:30"),
    "before the skip": ("2024-03-31 01:59:59", "2024-03-31T01:30", "2024-03-31T00:59:59"),
    "after the skip": ("2024-03-31 03:00:00", "2024-03-31T01:30", "2024-03-31T01:00"),
    "shown twice, read at once the first time": ("2024-10-27 02:30:00", "2024-10-27T00:30:02", "2024-10-27T00:30"),
    "shown twice, read at once the second time": ("2024-10-27 02:30:00", "2024-10-27T01:30:02", "2024-10-27T01:30"),
    "shown twice, by a clock ahead": ("2024-10-27 02:30:00", "2024-10-27T01:29:30", "2024-10-27T01:30"),
    "shown twice, read late": ("2024-10-27 02:30:00", "2024-10-29T12:00", "2024-10-27T01:30"),
    "shown twice, both ahead": ("2024-10-27 02:30:00", "2024-10-26T22:00", "2024-10-27T00:30"),
}


@pytest.mark.parametrize("name", DAYLIGHT_SAVING)
def test_daylight_saving(name: str) -> None:
    """An hour shown twice is the later one that is not after the append time; a skipped one is moved forward."""
    line, append, wanted = DAYLIGHT_SAVING[name]
    by = zoned(ZoneSpec(topic="logs", zone="Europe/Berlin"))
    piece = only(cut(Given(line.encode(), timestamp=at(append)), by=by))
    assert piece.tallies[0].at_ms == at(wanted)


YEARS = {
    "this year": ("Feb  1 10:00:00", "2024-03-01T12:00", "2024-02-01T10:00"),
    "last year": ("Aug  1 10:00:00", "2024-03-01T12:00", "2023-08-01T10:00"),
    "on New Year's Day, of the old year": ("Dec 31 23:59:58", "2024-01-01T00:00:05", "2023-12-31T23:59:58"),
    "on New Year's Eve, by a clock ahead": ("Jan  1 00:00:02", "2023-12-31T23:59:58", "2024-01-01T00:00:02"),
    "an hour ahead": ("Mar  1 13:00:00", "2024-03-01T12:00", "2024-03-01T13:00"),
    "two days ahead, so of the year before": ("Mar  3 13:00:00", "2024-03-01T12:00", "2023-03-03T13:00"),
    "February 29th in its year": ("Feb 29 10:00:00", "2024-03-01T12:00", "2024-02-29T10:00"),
    "February 29th a year later": ("Feb 29 10:00:00", "2025-02-28T12:00", "2024-02-29T10:00"),
    "February 29th three years later": ("Feb 29 10:00:00", "2027-03-01T12:00", "2024-02-29T10:00"),
    "February 29th around a century": ("Feb 29 10:00:00", "2103-03-01T12:00", "2096-02-29T10:00"),
    "March 1st of a common year": ("Mar  1 10:00:00", "2025-03-01T12:00", "2025-03-01T10:00"),
    "December 31st of a leap year": ("Dec 31 10:00:00", "2025-01-01T12:00", "2024-12-31T10:00"),
    "December 31st of a common year": ("Dec 31 10:00:00", "2026-01-01T12:00", "2025-12-31T10:00"),
}


@pytest.mark.parametrize("name", YEARS)
def test_year(name: str) -> None:
    """A stamp without a year is in the year nearest to the append time in which it lies at most a day ahead."""
    stamp, append, wanted = YEARS[name]
    result = cut(Given(f"{stamp} h1 cron[1]: ok".encode(), timestamp=at(append)))
    assert only(result).tallies[0].at_ms == at(wanted)


DAYS = {
    "today": ("10:00:00.123 INFO x", "2024-03-01T12:00", "2024-03-01T10:00"),
    "yesterday": ("23:59:58 INFO x", "2024-03-01T00:00:05", "2024-02-29T23:59:58"),
    "tomorrow, by a clock ahead": ("[00:00:02] x", "2024-02-29T23:59:58", "2024-03-01T00:00:02"),
}


@pytest.mark.parametrize("name", DAYS)
def test_day(name: str) -> None:
    """A clock without a date is on the day nearest to the append time."""
    line, append, wanted = DAYS[name]
    assert only(cut(Given(line.encode(), timestamp=at(append)))).tallies[0].at_ms == at(wanted)


def test_day_in_a_zone() -> None:
    """The day nearest to the append time is chosen by the clock of the source's zone."""
    by = zoned(ZoneSpec(topic="logs", zone="Pacific/Auckland"))
    given = Given(b"01:00:00 INFO x", timestamp=at("2024-02-01T12:00:05"))
    assert only(cut(given, by=by)).tallies[0].at_ms == at("2024-02-01T12:00:00")


def test_json_without_a_year() -> None:
    """A JSON time field may leave out the year as text does."""
    line = json(timestamp="Feb  1 10:00:00", service="a", message="x")
    assert only(cut(Given(line))).tallies[0].at_ms == at("2024-02-01T10:00:00")


@pytest.mark.parametrize("append_ms", [-(2**40), -1, 0, APPEND_MS, 2**62])
@pytest.mark.parametrize(
    "stamp", [0, 1, APPEND_MS, -APPEND_MS, stamps.YEARLESS_MS, -stamps.YEARLESS_MS, -stamps.DAY_MS]
)
def test_any_append_time(append_ms: int, stamp: int) -> None:
    """Whatever the append time is, a stamp is read without an error, with and without zones."""
    for reader in (UTC_ONLY, Zones(SPECS).of_topic("logs")):
        assert isinstance(reader.at_ms(stamp, append_ms, "pay", "eu-1"), int)


def test_names() -> None:
    """IANA names are known; paths, directories, abbreviations of ours and nothing are not."""
    assert [name for name in ("Europe/Berlin", "UTC", "America/Argentina/Ushuaia") if not known(name)] == []
    assert [name for name in ("", "Europe", "../UTC", "/etc/passwd", "Berlin", "MSK", "a\0b") if known(name)] == []


def test_zones_need_no_files_of_the_system() -> None:
    """Where the system has no zone files, names and rules come from the package ``tzdata``."""
    code = "import zoneinfo; from streams.ingest.zones import known; print(zoneinfo.TZPATH, known('Europe/Berlin'))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONTZPATH": "", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
    )
    assert run.stdout == b"() True\n"
