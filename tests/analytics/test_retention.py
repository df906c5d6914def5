"""The text of lines is let go after a while, and nothing else misses it."""

from __future__ import annotations

from pathlib import Path

from analytics.manifest import SEGMENTS, load
from analytics.replay import replay
from analytics.verify import verify
from analytics.views import EventLog
from analytics.why import why
from analytics.why_text import render
from analytics.writer import GRACE_MS, EventLogWriter
from streams.catalogue import strategies
from streams.core.fold import Fold
from streams.topics import DAY_MS
from tests.analytics.archive import Clock
from tests.analytics.history import History, story


async def aged(history: History, directory: Path, days: int, evidence_days: int) -> None:
    """Archive a history, and let so many days pass."""
    clock = Clock()
    clock.now_ms = history.now_ms
    with EventLogWriter(history.log, history.topics, directory, clock_ms=clock, evidence_days=evidence_days) as writer:
        await writer.flush()
        clock.now_ms += days * DAY_MS + 1
        await writer.step()
        clock.now_ms += GRACE_MS
        await writer.step()


async def test_text_goes_after_the_days_that_were_set(tmp_path: Path) -> None:
    """With five days set no text is left on the disk after five days."""
    await aged(story(), tmp_path, 5, 5)
    assert not list((tmp_path / SEGMENTS).glob("evidence-*"))


async def test_text_stays_until_then(tmp_path: Path) -> None:
    """With six days set all text is there after five."""
    await aged(story(), tmp_path, 5, 6)
    assert load(tmp_path).files("evidence")


async def test_the_log_without_text_is_whole(tmp_path: Path) -> None:
    """``verify`` finds nothing and ``replay`` computes every decision again when the text is gone."""
    history = story()
    await aged(history, tmp_path, 40, 30)
    report = await verify(tmp_path, history.log)
    assert report.findings == ()
    replayed = replay(tmp_path, lambda: Fold.new(strategies()))
    assert replayed.ok
    assert replayed.decisions == len(history.decisions)


async def test_why_says_that_the_text_is_gone(tmp_path: Path) -> None:
    """An explanation keeps coordinates and matches of a line whose text is gone, and says so."""
    history = story()
    await aged(history, tmp_path, 40, 30)
    with EventLog(tmp_path) as log:
        explanation = why(log, history.commands[0].id)
        shown = render(explanation)
    (cause, *_) = explanation.steps[0].causes
    assert (cause.kind, cause.text) == ("line", "")
    assert cause.matches
    assert "offset 0 index 0: (the text of this line is no longer kept)" in shown
    assert "shop broke" not in shown


async def test_questions_about_text_find_nothing(tmp_path: Path) -> None:
    """The view of lines is there without a row when all text is gone."""
    await aged(story(), tmp_path, 40, 30)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT text FROM lines").is_empty()
