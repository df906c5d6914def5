from __future__ import annotations

from lab.lines import RECORDED_MS, read_all, shifted
from streams.ingest import stamps

NOW_MS = 1_795_000_000_000


def test_there_are_enough_real_lines() -> None:
    """The demo has at least 30 000 lines of at least ten services."""
    files = read_all()
    assert sum(len(file.lines) for file in files) >= 30_000
    assert len({file.service for file in files}) >= 10


def seconds_before_the_newest(lines: list[bytes], around_ms: int) -> list[int]:
    """Return how long before the newest one each line with a stamp was written, in whole seconds."""
    times = [at for line in lines if (at := stamps.of_head(line[:96], around_ms))]
    return [(max(times) - at) // 1000 for at in times]


def test_every_file_ends_now_and_keeps_its_distances() -> None:
    """After the shift the newest stamp is now, and every other line is as long before it as it was."""
    for file in read_all():
        moved = list(shifted(file.lines, NOW_MS))
        assert abs(max(stamps.of_head(line[:96], NOW_MS) for line in moved) - NOW_MS) < 1000
        before = seconds_before_the_newest(list(file.lines), RECORDED_MS)
        after = seconds_before_the_newest(moved, NOW_MS)
        assert all(abs(b - a) <= 1 for a, b in zip(after, before, strict=True)), file.service


def test_the_shift_leaves_formats_alone() -> None:
    """Separators, the number of digits and everything after the stamp stay as they were."""
    lines = [
        b"2022-02-10 00:00:38.509 1591 DEBUG x",
        b"2022-02-10T00:00:38.595093+0000 mgr",
        b"Feb  1 00:00:38 host cron[1]: y",
        b"Feb 10 00:00:38 host app[1]: 2022-02-10 00:00:37,100 ERROR z",
        b"no stamp here",
    ]
    assert list(shifted(lines, 1_795_178_438_595)) == [
        b"2026-11-20 12:40:38.509 1591 DEBUG x",
        b"2026-11-20T12:40:38.595000+0000 mgr",
        b"Nov 11 12:40:38 host cron[1]: y",
        b"Nov 20 12:40:38 host app[1]: 2026-11-20 12:40:37,100 ERROR z",
        b"no stamp here",
    ]
