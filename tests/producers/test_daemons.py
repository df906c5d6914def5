"""Real producers, writing to a real broker: every line that they were given is accounted for, once, as what it is."""

from __future__ import annotations

import asyncio
import platform
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from streams.codec import decode
from streams.core.beside import Evidence
from streams.core.events import Slice
from streams.ports import TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from tests.producers.accepting import accepted, records_of
from tests.producers.daemons import HOST, Syslog, kcat, rsyslog, syslog_ng

pytestmark = pytest.mark.broker

REFUSED = "connect() to 10.0.0.7:8443 failed (111: Connection refused)"
LOCKED = "database is locked"
FULL = "write failed: No space left on device"
MANY = 200
FROM_FILE = [*(f"order {number} stored" for number in range(MANY)), LOCKED]
PATIENCE_SECONDS = 90.0
Counts = Counter[tuple[str, str, str]]
"""Lines by (service, severity, pattern)."""


class Seen(NamedTuple):
    """A detected line: whose it is, and how its text ends."""

    service: str
    host: str
    pattern: str
    text: str


SEEN = [
    Seen("orders", HOST, "connection_refused", REFUSED),
    Seen("orders", HOST, "database_lock", LOCKED),
    Seen("billing", platform.node(), "disk_full", FULL),
]


def say(to: Syslog) -> int:
    """Say some lines in every way that a syslog daemon takes them; return how many."""
    to.log("orders", "user.info", "order 17 stored in 12 ms")
    to.log("orders", "user.warning", "order 18 is late")
    to.log("orders", "user.err", REFUSED)
    to.send("billing", "local0.emerg", FULL)
    to.send("billing", "local0.notice", "invoice 5 sent")
    to.write(FROM_FILE)
    return 5 + len(FROM_FILE)


def counts(*, priorities: bool) -> Counts:
    """Return what those lines come to; some templates leave the priority out."""
    warning, fatal = ("warning", "fatal") if priorities else ("info", "critical")
    return Counter(
        [("orders", "info", "")] * (1 + MANY)
        + [("orders", warning, ""), ("orders", "error", "connection_refused"), ("orders", "error", "database_lock")]
        + [("billing", fatal, "disk_full"), ("billing", "info", "")]
    )


def fleet_of(broker: Settings, names: Sequence[str]) -> Settings:
    """Return settings of a fleet that has a log topic for each name."""
    settings = broker.model_copy(update={"logs": tuple(f"{broker.fleet}.{name}" for name in names)})
    asyncio.run(create_topics(settings))
    return settings


def wait_for(settings: Settings, records: int) -> None:
    """Wait until every log topic holds so many records; more would be as wrong as fewer."""

    async def held(log: KafkaLog, topic: str) -> int:
        wheres = [TopicPartition(topic, number) for number in range(settings.source_partitions)]
        return sum([(await log.bounds(where))[1] for where in wheres])

    async def watch() -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        async with KafkaLog(settings) as log:
            while (found := {topic: await held(log, topic) for topic in settings.logs}) != wanted:
                assert time.monotonic() < give_up, f"{found} records, not {wanted}"
                await asyncio.sleep(0.1)

    wanted = dict.fromkeys(settings.logs, records)
    asyncio.run(watch())


def counted(slices: Sequence[Slice], topic: str) -> Counts:
    """Count a topic's lines."""
    total: Counts = Counter()
    for piece in slices:
        for tally in piece.tallies if piece.source == topic else ():
            total[tally.service, tally.severity, tally.pattern] += tally.count
    return total


def seen(settings: Settings, slices: Sequence[Slice], topic: str) -> list[Seen]:
    """Return a topic's detected lines, by the text that is kept of them."""
    kept = [decode(record.value or b"") for record in records_of(settings, settings.topics.evidence, 1)]
    texts = {(e.partition, e.offset, e.index): e.text for e in kept if isinstance(e, Evidence) and e.topic == topic}
    return [
        Seen(d.service, d.host, d.pattern, texts[piece.partition, line.offset, line.index])
        for piece in slices
        if piece.source == topic
        for d in piece.detections
        for line in d.lines
    ]


def check(settings: Settings, began: float, priorities: Sequence[bool]) -> None:
    """Assert that each topic's lines are what was said, no earlier than ``began`` and not after now."""
    slices = accepted(settings)
    seconds = {tally.at_ms // 1000 for piece in slices for tally in piece.tallies}
    assert int(began) <= min(seconds) <= max(seconds) <= time.time()
    assert not [reject for piece in slices for reject in piece.rejects]
    for topic, by_priority in zip(settings.logs, priorities, strict=True):
        assert counted(slices, topic) == counts(priorities=by_priority), topic
        found = sorted(seen(settings, slices, topic), key=lambda one: one.pattern)
        assert [one[:3] for one in found] == sorted((one[:3] for one in SEEN), key=lambda one: one[2]), topic
        for one, wanted in zip(found, sorted(SEEN, key=lambda one: one.pattern), strict=True):
            assert one.text.endswith(wanted.text), topic


RSYSLOG = {
    "traditional": ("none", "RSYSLOG_TraditionalFileFormat", False),
    "iso": ("gzip", "RSYSLOG_FileFormat", False),
    "rfc5424": ("snappy", "RSYSLOG_SyslogProtocol23Format", True),
    "forward": ("lz4", "RSYSLOG_TraditionalForwardFormat", True),
    "json": ("zstd", "json", True),
}


def test_rsyslog(broker: Settings, tmp_path: Path) -> None:
    """What programs say to rsyslog arrives by omkafka, whichever template it writes and codec it compresses with."""
    settings, began = fleet_of(broker, list(RSYSLOG)), time.time()
    topics = {topic: row[:2] for topic, row in zip(settings.logs, RSYSLOG.values(), strict=True)}
    with rsyslog(tmp_path, broker.brokers, topics) as daemon:
        wait_for(settings, say(daemon))
    check(settings, began, [row[2] for row in RSYSLOG.values()])


JSON = "$(format-json --scope rfc5424 --exclude DATE --key ISODATE)"
RFC5424 = "<$PRI>1 $ISODATE $HOST $PROGRAM ${PID:--} ${MSGID:--} ${SDATA:--} $MSG"
SYSLOG_NG = {
    "default": ("none", "", False),
    "default-gzip": ("gzip", "", False),
    "json": ("snappy", JSON, True),
    "rfc5424": ("lz4", RFC5424, True),
    "json-zstd": ("zstd", JSON, True),
}


def test_syslog_ng(broker: Settings, tmp_path: Path) -> None:
    """What programs say to syslog-ng arrives by kafka-c, whichever template it writes and codec it compresses with."""
    settings, began = fleet_of(broker, list(SYSLOG_NG)), time.time()
    topics = {topic: row[:2] for topic, row in zip(settings.logs, SYSLOG_NG.values(), strict=True)}
    with syslog_ng(tmp_path, broker.brokers, topics) as daemon:
        wait_for(settings, say(daemon))
    check(settings, began, [row[2] for row in SYSLOG_NG.values()])


KCAT = ("none", "gzip", "snappy", "lz4", "zstd")
LINES = [*(f"order {number} stored" for number in range(MANY)), f"ERROR {REFUSED}", "WARN order 18 is late"]
LINE_COUNTS = {("info", ""): MANY, ("error", "connection_refused"): 1, ("warning", ""): 1}


def test_kcat(broker: Settings) -> None:
    """What kcat sends counts as its key's or header's, a record a line or many lines a record, in every codec."""
    settings = fleet_of(broker, KCAT)
    text = "".join(f"{line}\n" for line in LINES).encode()
    for codec, topic in zip(KCAT, settings.logs, strict=True):
        kcat(broker.brokers, topic, codec, text, "-k", "by-key")
        kcat(broker.brokers, topic, codec, text, "-k", "a-key", "-H", "service=by-header", "-H", f"host={HOST}")
        kcat(broker.brokers, topic, codec, text + b"\x1e" + text, "-k", "in-bulk", "-D", "\\x1e")
    wait_for(settings, 2 * len(LINES) + 2)
    slices = accepted(settings)
    for topic in settings.logs:
        wanted: Counts = Counter()
        for service, times in (("by-key", 1), ("by-header", 1), ("in-bulk", 2)):
            wanted.update({(service, *what): count * times for what, count in LINE_COUNTS.items()})
        assert counted(slices, topic) == wanted, topic
        texts = Counter(one[:3] for one in seen(settings, slices, topic) if one.text == LINES[MANY])
        assert texts == {
            ("by-key", "", "connection_refused"): 1,
            ("by-header", HOST, "connection_refused"): 1,
            ("in-bulk", "", "connection_refused"): 2,
        }, topic
