"""What heartbeats tell about this host's clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.ports import Fetched, Outgoing
from streams.workers import pulse
from streams.workers.crew import Worker
from streams.workers.pulse import Pulse
from tests.workers.kit import HOST, FileLog


class SlowLog(FileLog):
    """A log whose broker's clock is ahead, and which takes its time: both as the test says, on a clock of its own."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.clock_ms = 1_000_000_000_000
        self.takes_ms = 0
        self.stamped_after_ms = 0
        self.stamps: list[int] = []

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Stamp the records some time after the append began, and end when it has taken its time."""
        offsets = await super().append(records)
        self.stamps += [self.clock_ms + self.ahead_ms + self.stamped_after_ms] * len(records)
        self.clock_ms += self.takes_ms
        return offsets

    def records(self, topic: str) -> list[Fetched]:
        """Return the records with their stamps."""
        both = zip(super().records(topic), self.stamps, strict=True)
        return [replace(record, timestamp=stamp) for record, stamp in both]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlowLog:
    """Return a log that the pulse goes by."""
    made = SlowLog(tmp_path / "topics")
    monkeypatch.setattr(pulse, "now_ms", lambda: made.clock_ms)
    return made


async def beat(of: Pulse, log: SlowLog, *, takes_ms: int, stamped_after_ms: int = 0, ahead_ms: int = 0) -> int | None:
    """Send a heartbeat that takes so long; return the skew that is known then."""
    log.takes_ms, log.stamped_after_ms, log.ahead_ms = takes_ms, stamped_after_ms, ahead_ms
    await of.beat([Worker("executor_001", "executor")])
    return of.skew_ms


async def test_a_slow_append_says_nothing_of_clocks(log: SlowLog) -> None:
    """Once the skew is known, one measured over a slow append is dropped, even if it contradicts."""
    one = Pulse(log, "heartbeats", HOST)
    assert await beat(one, log, takes_ms=20, stamped_after_ms=10) == 0
    assert await beat(one, log, takes_ms=6_000, stamped_after_ms=0, ahead_ms=-9_000) == 0
    assert await beat(one, log, takes_ms=20, stamped_after_ms=10, ahead_ms=-9_000) == 9_000


async def test_the_first_measurement_is_better_than_none(log: SlowLog) -> None:
    """While nothing is known a slow one counts, but the pulse is not sure before a quick one."""
    one = Pulse(log, "heartbeats", HOST)
    assert await beat(one, log, takes_ms=4_000, stamped_after_ms=0) == 2_000
    assert not one.is_sure
    assert await beat(one, log, takes_ms=4_000, stamped_after_ms=2_000) == 2_000
    assert await beat(one, log, takes_ms=20, stamped_after_ms=10) == 0
    assert one.is_sure
