from __future__ import annotations

from lab.lines import RECORDED_MS, read_all, shifted
from streams.ingest import stamps
from streams.ingest.zones import UTC_ONLY

NOW_MS = 1_795_000_000_000


def test_there_are_enough_real_lines() -> None:
    """The demo has at least 30 000 lines of at least ten services."""
    files = read_all()
    assert sum(len(file.lines) for file in files) >= 30_000
    assert len({file.service for file in files}) >= 10


def time_of(line: bytes, around_ms: int) -> int:
    """Return when a line was written; 0 when it does not say so."""
    return UTC_ONLY.at_ms(stamps.of_head(line[:96], around_ms), around_ms, "", "")


def seconds_before_the_newest(lines: list[bytes], around_ms: int) -> list[int]:
    """Return how long before the newest one each line with a stamp was written, in whole seconds."""
    times = [at for line in lines if (at := time_of(line, around_ms))]
    return [(max(times) - at) // 1000 for at in times]


def test_every_file_ends_now_and_keeps_its_distances() -> None:
    """After the shift the newest stamp is now, and every other line is as long before it as it was."""
    for file in read_all():
        lines = list(file.lines[-300:])
        moved = list(shifted(lines, NOW_MS))
        assert abs(max(time_of(line, NOW_MS) for line in moved) - NOW_MS) < 1000
        before = seconds_before_the_newest(lines, RECORDED_MS)
        after = seconds_before_the_newest(moved, NOW_MS)
        assert all(abs(b - a) <= 1 for a, b in zip(after, before, strict=True)), file.service
