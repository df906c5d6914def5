"""What detect says about a record that breaks it names the place and the error, and quotes nothing of the record."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from streams import telemetry
from streams.agents.detect import DetectEngine
from streams.core.config import RuleSet
from streams.ingest.slicer import Cut, Slicer
from streams.ports import Outgoing, Record, TopicPartition
from tests.sim.alone import Alone
from tests.sim.scene import TOPICS, slicer_for

LOGS = TopicPartition("logs", 0)
SECRET = "Kestrel1999hunter"


class Quoting(Slicer):
    """A slicer whose errors quote the record, as those of codecs do."""

    def cut(self, source: str, partition: int, term: int, records: Sequence[Record], from_offset: int) -> Cut:
        """Fail."""
        raise UnicodeDecodeError("utf-8", records[0].value or b"", 0, 1, f"in {records[0].value!r}")


def quoting(rules: RuleSet) -> Slicer:
    """Return the slicer that fails."""
    return Quoting(slicer_for(rules).matcher, TOPICS)


def test_a_source_is_counted_from_when_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """That detect reads is shown before the first line comes: none for an hour is not nobody who reads."""
    told: list[tuple[str, int]] = []
    monkeypatch.setattr(telemetry, "lines_read", lambda source, lines, _size=0: told.append((source, lines)))
    alone = Alone()
    alone.run(DetectEngine(alone.log, TOPICS, slicer_for, "one", lambda: "nonce").load([LOGS]))
    assert told == [("logs", 0)]


def test_a_failure_quotes_no_line(caplog: pytest.LogCaptureFixture) -> None:
    """Our own log and the reject have the error's kind and place, and not what the line says."""
    alone = Alone()
    detect = DetectEngine(alone.log, TOPICS, quoting, "one", lambda: "nonce")
    alone.run(detect.load([LOGS]))
    alone.land(Outgoing("logs", f"password={SECRET}".encode()))
    with caplog.at_level(logging.DEBUG):
        alone.run(detect.process([(LOGS, alone.records(LOGS))]))
    said = [getattr(record, "fields", {}) for record in caplog.records]
    assert [one["problem"] for one in said if one.get("where") == "slicer"] == [
        "logs/0/0: UnicodeDecodeError at test_detect_says.py:27"
    ]
    assert SECRET not in caplog.text + str(said)
    assert SECRET.encode() not in b"".join(alone.values(TOPICS.facts))
