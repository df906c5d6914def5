"""The canary's line: sent as told, detected as any producer's line is, decided, and counted nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from analytics.views import EventLog
from streams.core.canary import SERVICE
from streams.ports import Fetched, Outgoing
from streams.telemetry import REGISTRY
from streams.workers.canary import line, sing
from tests.analytics.archive import archive
from tests.analytics.history import History
from tests.analytics.memory_log import MemoryLog
from tests.ingest.given import APPEND_MS, cut_values, only


def test_the_shipped_rules_detect_it() -> None:
    """A line of the canary is a detection of its service, host and time, by a pattern of the catalogue."""
    (found,) = only(cut_values(line("h7", APPEND_MS - 5))).detections
    assert (found.service, found.host, found.pattern, found.at_last_ms) == (
        SERVICE,
        "h7",
        "out_of_memory",
        APPEND_MS - 5,
    )


class Ending(MemoryLog):
    """A log that asks for an end with its ``last`` append, or a moment after it."""

    def __init__(self, last: int, *, later: bool = False) -> None:
        super().__init__()
        self.stop = asyncio.Event()
        self._last = last
        self._later = later

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """See ``ports.Log.append``."""
        offsets = await super().append(records)
        if len(self.sent) == self._last:
            if self._later:
                asyncio.get_running_loop().call_later(0.05, self.stop.set)
            else:
                self.stop.set()
        return offsets

    @property
    def sent(self) -> list[Fetched]:
        """All records."""
        return [record for records in self.records.values() for record in records]


async def test_it_is_sent_at_once_and_then_at_intervals() -> None:
    """The first line goes when the process begins, others follow, and the time of the last one is a metric."""
    log = Ending(3)
    await sing(log, "logs", "h1", 0.01, log.stop)
    assert [record.topic for record in log.sent] == ["logs"] * 3
    assert REGISTRY.get_sample_value("logmend_canary_sent_timestamp_seconds")


async def test_an_end_is_not_waited_for() -> None:
    """Between two lines nothing is sent, and who is to end ends."""
    log = Ending(1, later=True)
    await sing(log, "logs", "h1", 3_600, log.stop)
    assert len(log.sent) == 1


async def test_it_can_be_switched_off() -> None:
    """With 0 seconds nothing is sent."""
    log = Ending(1)
    await sing(log, "logs", "h1", 0, log.stop)
    assert log.sent == []


async def test_the_log_tells_of_it_and_counts_it_nowhere(tmp_path: Path) -> None:
    """Its decision and its text are in the event log; views of lines, incidents and services know nothing of it."""
    history = History()
    history.begin()
    history.see(SERVICE, "out_of_memory")
    history.see("shop", "out_of_memory")
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT service FROM decisions WHERE kind = 'canary_heard'").rows() == [(SERVICE,)]
        assert {row[0] for row in log.query("SELECT service FROM lines").rows()} == {SERVICE, "shop"}
        for view in ("detections", "tallies", "incidents", "commands"):
            assert {row[0] for row in log.query(f"SELECT service FROM {view}").rows()} <= {"shop"}
        assert log.query("SELECT count(*) FROM detections").item() == 1
