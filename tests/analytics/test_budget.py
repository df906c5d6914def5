"""A data directory that takes too much loses text, the oldest first, and nothing else."""

from __future__ import annotations

from pathlib import Path

from analytics.budget import MEASURE_MS, Budget, oldest, used_bytes
from analytics.manifest import SEGMENTS, Segment, Stream, load
from analytics.replay import replay
from analytics.tables import entry_of
from analytics.verify import verify
from analytics.writer import EventLogWriter
from streams.catalogue import strategies
from streams.core.fold import Fold
from tests.analytics.archive import Clock, Hearing
from tests.analytics.history import story

HUGE = 1 << 40


async def kept_within(directory: Path, bytes_max: int, looks: int = 1) -> Hearing:
    """Archive a story under a budget, and let the writer look after it so often."""
    history, hearing, clock = story(), Hearing(), Clock()
    clock.now_ms = history.now_ms
    budget = Budget(directory, bytes_max)
    with EventLogWriter(
        history.log, history.topics, directory, clock_ms=clock, observer=hearing, budget=budget
    ) as writer:
        await writer.flush()
        for _ in range(looks):
            await writer.step()
            clock.now_ms += MEASURE_MS
    assert (await verify(directory, history.log)).findings == ()
    assert replay(directory, lambda: Fold.new(strategies())).decisions == len(history.decisions)
    return hearing


async def test_under_the_budget_nothing_goes_and_nothing_is_said(tmp_path: Path) -> None:
    """What the directory takes is told, and that is all."""
    hearing = await kept_within(tmp_path, HUGE)
    assert hearing.failures == []
    assert hearing.used[0] > 0
    assert load(tmp_path).files("evidence")


async def test_from_four_fifths_on_it_is_said_once(tmp_path: Path) -> None:
    """A warning names the setting; it is not repeated while nothing changes, and nothing goes."""
    used = (await kept_within(tmp_path / "first", HUGE)).used[0]
    hearing = await kept_within(tmp_path / "second", int(used / 0.9), looks=3)
    (said,) = hearing.failures
    assert "LOGMEND_DISK_BUDGET_GB" in said
    assert load(tmp_path / "second").files("evidence")


async def test_above_it_text_goes_and_decisions_stay(tmp_path: Path) -> None:
    """All text goes at once when that is not enough, log and replay stay whole, and it is said."""
    hearing = await kept_within(tmp_path, 1, looks=2)
    assert not list((tmp_path / SEGMENTS).glob("evidence-*"))
    assert "the text of 1 segments was let go" in hearing.failures[0]
    assert load(tmp_path).files("decisions")


def test_only_as_much_goes_as_must() -> None:
    """The oldest segments go, and no more of them than are needed."""
    segments = tuple(
        Segment(first=n, last=n, level=0, newest_ms=0, files=(entry_of("evidence", n, n, 1, b"x" * 100),))
        for n in range(5)
    )
    stream = Stream(segments=segments)
    assert [oldest(stream, over) for over in (-1, 0, 1, 100, 101, 1_000)] == [0, 0, 1, 1, 2, 5]


def test_what_a_directory_takes_is_what_its_files_take(tmp_path: Path) -> None:
    """Files in it and below count, in blocks of the disk."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x" * 10_000)
    assert 10_000 <= used_bytes(tmp_path) <= 20_000
