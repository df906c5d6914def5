"""What software prints as a time, and what looks like one and is none."""

from __future__ import annotations

import pytest

from streams.ingest import stamps, text_lines
from streams.ingest.zones import UTC_ONLY
from tests.ingest.given import APPEND_MS, Given, at, cut, json, only

T = "10:00:00"
T250 = "10:00:00.250"

FORMS = {
    "ISO, Z": ("2024-02-01T10:00:00Z started", T),
    "ISO, milliseconds": ("2024-02-01T10:00:00.250Z started", T250),
    "ISO, nanoseconds": ("2024-02-01T10:00:00.250999999Z started", T250),
    "ISO, more than nanoseconds": ("2024-02-01T10:00:00.250999999999Z started", T250),
    "ISO, offset with a colon": ("2024-02-01T15:30:00+05:30 started", T),
    "ISO, offset without a colon": ("2024-02-01T04:00:00.250-0600 started", T250),
    "ISO, offset in hours": ("2024-02-01 12:00:00.250+02 started", T250),
    "ISO, without a zone": ("2024-02-01T10:00:00.250 started", T250),
    "ISO, space": ("2024-02-01 10:00:00 started", T),
    "ISO, comma": ("2024-02-01 10:00:00,250 INFO started", T250),
    "ISO, colon before the milliseconds": ("2024-02-01 10:00:00:250 INFO started", T250),
    "ISO, slashes": ("2024/02/01 10:00:00.250 started", T250),
    "ISO, dots": ("2024.02.01 10:00:00 started", T),
    "ISO, comma and space": ("2024-02-01, 10:00:00 started", T),
    "ISO, without seconds": ("2024-02-01T10:00Z started", T),
    "ISO, short numbers": ("2024-2-1 10:00:00 started", T),
    "ISO, in brackets": ("[2024-02-01T10:00:00.250+00:00] app.ERROR: started", T250),
    "ISO, date and clock in brackets of their own": ("[2024-02-01][10:00:00][app][INFO] started", T),
    "ISO, after a level": ("WARN  [Gossip:1] 2024-02-01 10:00:00,250 A.java:1 - started", T250),
    "ISO, after a key": ("time=2024-02-01T10:00:00.250Z level=info msg=started", T250),
    "ISO, after a key, in quotes": ('time="2024-02-01T10:00:00Z" level=info msg=started', T),
    "ISO, basic": ("20240201T100000Z started", T),
    "ISO, basic, offset": ("20240201T110000.250+0100 started", T250),
    "day without dashes": ("20240201 10:00:00.250 started", T250),
    "FIX": ("20240201-10:00:00.250 : started", T250),
    "RFC 2822": ("Thu, 01 Feb 2024 11:00:00 +0100 started", T),
    "RFC 1123": ("Thu, 01 Feb 2024 10:00:00 GMT started", T),
    "RFC 850": ("Thursday, 01-Feb-24 10:00:00 GMT started", T),
    "asctime": ("Thu Feb  1 10:00:00 2024 started", T),
    "date": ("Thu Feb  1 11:00:00 CET 2024 started", T),
    "date, in a zone whose name is ambiguous": ("Thu Feb  1 10:00:00 CST 2024 started", T),
    "syslog": ("Feb  1 10:00:00 h1 cron[1]: started", T),
    "syslog, a zero before the day": ("Feb 01 10:00:00 h1 cron[1]: started", T),
    "syslog, milliseconds": ("Feb  1 10:00:00.250 h1 cron[1]: started", T250),
    "syslog 3164": ("<13>Feb  1 10:00:00 h1 cron[1]: started", T),
    "syslog 5424": ("<13>1 2024-02-01T11:00:00.25+01:00 h1 cron 1 - - started", T250),
    "Cisco": ("*Feb  1 10:00:00.250 UTC: %SYS-5-CONFIG_I: started", T250),
    "Cisco, year before the clock": ("Feb 01 2024 10:00:00: %ASA-6-302013: started", T),
    "Fortinet": ("date=2024-02-01 time=10:00:00 devname=fw started", T),
    "Apache error log": ("[Thu Feb 01 10:00:00.250111 2024] [core:error] [pid 1] started", T250),
    "Apache error log, 2.2": ("[Thu Feb 01 10:00:00 2024] [error] started", T),
    "access log": ('10.0.0.1 - - [01/Feb/2024:12:00:00 +0200] "GET / HTTP/1.1" 200 5', T),
    "nginx": ("2024/02/01 10:00:00 [crit] 12#12: *1 started", T),
    "HAProxy": ("10.0.0.1:53412 [01/Feb/2024:10:00:00.250] http-in web/s1 0/0/1/2/3 200 5", T250),
    "Squid": ("1706781600.250    125 10.0.0.1 TCP_MISS/200 5 GET http://h/", T250),
    "Nagios": ("[1706781600] SERVICE ALERT: h;HTTP;CRITICAL", T),
    "audit": ("type=SYSCALL msg=audit(1706781600.250:911): arch=c000003e", T250),
    "PostgreSQL": ("2024-02-01 11:00:00.250 CET [7] LOG:  started", T250),
    "PostgreSQL, a zone by its offset": ("2024-02-01 07:00:00.250 -03 [7] LOG:  started", T250),
    "PostgreSQL in Moscow": ("2024-02-01 13:00:00.250 MSK [7] LOG:  started", T250),
    "PostgreSQL in New York": ("2024-02-01 05:00:00.250 EST [7] LOG:  started", T250),
    "PostgreSQL in Los Angeles": ("2024-02-01 02:00:00.250 PST [7] LOG:  started", T250),
    "MySQL error log": ("2024-02-01T10:00:00.250111Z 0 [ERROR] [MY-010119] started", T250),
    "MySQL, before 5.7": ("240201 10:00:00 [Note] started", T),
    "MySQL, before noon": ("240201  9:00:00 [Note] started", "09:00:00"),
    "MongoDB, before 4.4": ("2024-02-01T11:00:00.250+0100 I NETWORK  [conn1] started", T250),
    "Redis": ("1:M 01 Feb 2024 10:00:00.250 * started", T250),
    "Redis, before 3": ("[1] 01 Feb 10:00:00.250 * started", T250),
    "RabbitMQ": ("2024-02-01 10:00:00.250111+00:00 [warning] <0.8.0> started", T250),
    "RabbitMQ, before 3.7": ("=INFO REPORT==== 1-Feb-2024::10:00:00 ===", T),
    "ZooKeeper": ("2024-02-01 10:00:00,250 [myid:1] - INFO  [main:A@1] - started", T250),
    "Elasticsearch": ("[2024-02-01T10:00:00,250][WARN ][o.e.c.Coordinator] [node-1] started", T250),
    "Kibana": ("Feb 1, 2024 @ 10:00:00.250 started", T250),
    "glog": ("E0201 10:00:00.250000 12345 main.cc:10] started", T250),
    "glog, with a year": ("E20240201 10:00:00.250000 12345 main.cc:10] started", T250),
    "klog": ("I0201 10:00:00.250000       1 controller.go:5] started", T250),
    "logcat": ("02-01 10:00:00.250  1234  5678 E ActivityManager: started", T250),
    "Go": ("2024/02/01 10:00:00 started", T),
    "Go, microseconds": ("2024/02/01 10:00:00.250111 main.go:5: started", T250),
    ".NET": ("2/1/2024 10:00:00 AM started", T),
    ".NET, after noon": ("02/01/2024 10:00:00 PM started", "22:00:00"),
    "midnight in the United States": ("2/1/2024 12:00:00 AM started", "00:00:00"),
    "noon in the United States": ("2/1/2024 12:00:00 PM started", "12:00:00"),
    ".NET, invariant": ("02/01/2024 10:00:00 started", T),
    "JavaScript in the United States": ("2/1/2024, 10:00:00 AM started", T),
    "NestJS": ("[Nest] 7  - 02/01/2024, 10:00:00 AM     LOG [App] started", T),
    "Germany": ("01.02.2024 10:00:00,250 started", T250),
    "Java util logging": ("Feb 01, 2024 10:00:00 AM org.a.B c", T),
    "Java util logging, after noon": ("Feb 01, 2024 1:00:00 PM org.a.B c", "13:00:00"),
    "Catalina": ("01-Feb-2024 10:00:00.250 INFO [main] org.a.B.c started", T250),
    "WebSphere": ("[2/1/24 11:00:00:250 CET] 0000000a Server I started", T250),
    "Oracle": ("Thu Feb 01 10:00:00 2024", T),
    "DB2": ("2024-02-01-10.00.00.250000+000 I1A2 LEVEL: Info", T250),
    "Spark": ("24/02/01 10:00:00 ERROR Executor: started", T),
    "Ruby": ("I, [2024-02-01T10:00:00.250111 #7]  INFO -- : started", T250),
    "PHP": ("[01-Feb-2024 10:00:00 UTC] PHP Warning:  started", T),
    "libvirt": ("2024-02-01 11:00:00.250+0100: 14069: error : started", T250),
    "IIS": ("2024-02-01 10:00:00 10.0.0.1 GET / - 80 - 10.0.0.2 curl 200 0 0 5", T),
    "full name of a month": ("February 1, 2024 10:00:00 started", T),
    "leap second": ("2024-02-01T10:00:60Z started", "10:00:59"),
    "an hour with one digit": ("2024-02-01 9:00:00 started", "09:00:00"),
    "a clock alone": ("10:00:00.250 [main] INFO started", T250),
}


@pytest.mark.parametrize("name", FORMS)
def test_text(name: str) -> None:
    """The time of a line is what its software printed, whatever the form."""
    line, wanted = FORMS[name]
    append_ms = at("2024-02-01T12:00:00")
    stamp = text_lines.read_head(line.encode(), append_ms)[3]
    assert UTC_ONLY.at_ms(stamp, append_ms, "", "") == at(f"2024-02-01T{wanted}")


@pytest.mark.parametrize("name", [name for name, (line, _) in FORMS.items() if line.endswith(" started")])
def test_value(name: str) -> None:
    """A stamp that stands alone in a JSON field is read as one at the beginning of a line is."""
    line, wanted = FORMS[name]
    append_ms = at("2024-02-01T12:00:00")
    alone = line.removesuffix(" started").strip("[]")
    assert UTC_ONLY.at_ms(stamps.of_text(alone), append_ms, "", "") == at(f"2024-02-01T{wanted}")


NUMBERS = {
    "seconds": (1706781600, T),
    "seconds with a fraction": (1706781600.25, T250),
    "seconds with a fraction that no double holds": (1706781600.251, "10:00:00.251"),
    "milliseconds": (1706781600250, T250),
    "microseconds": (1706781600250111, T250),
    "nanoseconds": (1706781600250111222, T250),
    "seconds as text": ("1706781600", T),
    "seconds with a fraction as text": ("1706781600.250111", T250),
    "nanoseconds as text": ("1706781600250111222", T250),
    "fourteen digits": ("20240201100000", T),
    "MongoDB": ({"$date": "2024-02-01T10:00:00.250Z"}, T250),
    "MongoDB, canonical": ({"$date": {"$numberLong": "1706781600250"}}, T250),
    "protobuf": ({"seconds": 1706781600, "nanos": 250_999_999}, T250),
    "log4j2": ({"epochSecond": 1706781600, "nanoOfSecond": 250_000_000}, T250),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_number(name: str) -> None:
    """An epoch says its unit by its size; objects that hold one are known."""
    value, wanted = NUMBERS[name]
    assert abs(stamps.of_value(value)) == at(f"2024-02-01T{wanted}")


NO_TIMES = {
    "kernel's seconds since the boot": "[12345.678901] usb 1-1: new device",
    "a request id": "1706781600 is the id of a request, five years old",
    "a short id": "[123456] started",
    "an id of thirteen digits": "1234567890123 accepted",
    "a telephone number": "4915123456789 called",
    "a version": "10.00.00 installed",
    "a version with a date's look": "version 2024.02.01 installed",
    "an address with a port": "10.0.0.1:8080 connected",
    "an IPv6 address": "2001:db8:0:1:10:00:00:1 connected",
    "a hardware address": "00:11:22:33:44:55 joined",
    "a duration in a text": "took 10:00:00 in all",
    "a ratio": "ratio 16:9:00",
    "a date alone": "2024-02-01 is the day",
    "ls": "-rw-r--r-- 1 root root 5 Feb  1 10:00 notes",
    "a word that begins like a month": "Marker 10 10:00:00 set",
    "a file's place": "main.c:10:00:00 broken",
    "an offset without a clock": "+0100 is not in Berlin",
    "a UUID": "9f8e7d6c-1111-2222-3333-444455556666 done",
    "a week": "2024-W05-4T10:00:00Z started",
}


@pytest.mark.parametrize("name", NO_TIMES)
def test_no_time(name: str) -> None:
    """A number that is no time is not taken for one: the line has its append time, and nothing was replaced."""
    append_ms = at("2030-01-01T00:00:00")
    result = cut(Given(NO_TIMES[name].encode(), timestamp=append_ms))
    assert only(result).tallies[0].at_ms == append_ms
    assert result.stamps_replaced == 0


ABSURD: dict[str, str | dict[str, object]] = {
    "February 30th": "2024-02-30 10:00:00 x",
    "month 13": "2024-13-01T10:00:00Z x",
    "hour 25": "2024-02-01T25:00:00Z x",
    "minute 60": "2024-02-01T10:60:00Z x",
    "second 61": "2024-02-01T10:00:61Z x",
    "year 0": "0000-00-00 00:00:00 x",
    "1969": "1969-12-31T23:59:59Z x",
    "1972, where dates without a year are kept": "1972-02-01T10:00:00.000Z x",
    "the year 9999": "9999-12-31T23:59:59Z x",
    "two days ahead": "2024-03-03T13:00:00Z x",
    "30 February of no year": "Feb 30 10:00:00 h1 cron[1]: x",
    "epoch 12": {"ts": 12, "message": "x"},
    "epoch of 1972": {"ts": 73_000_000, "message": "x"},
    "January 2nd 1970, where clocks without a date are kept": {"ts": "1970-01-02T10:00:00.000Z", "message": "x"},
    "more than nanoseconds": {"ts": 10**18 * 9, "message": "x"},
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd(name: str) -> None:
    """A stamp that can't be true gives way to the append time, and is counted."""
    line = ABSURD[name]
    result = cut(Given(json(**line) if isinstance(line, dict) else line.encode()))
    assert only(result).tallies[0].at_ms == APPEND_MS
    assert result.stamps_replaced == 1
