"""Windows and templates in SQL: the same figures as the fold's, and what was told of templates."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analytics.views import EventLog
from streams.core.errors import InputError
from streams.core.events import Slice
from streams.core.num import draw
from streams.core.rates import MINUTE_PANES, PANE_MS
from streams.core.windows import Windows
from tests.analytics.archive import archive
from tests.analytics.history import History
from tests.ingest.given import Given
from tests.ingest.given import slicer as a_slicer

TEXTS = (
    b"ERROR could not mount home of ada for reading",
    b"ERROR could not mount home of bob for reading",
    b"ERROR could not mount home of eve for reading",
    b"ERROR could not mount home of mallory for reading",
    b"ERROR warp core cold",
    b"INFO all is well",
    b"kernel: Out of memory: Killed process 7 (java)",
)


def ship(history: History, *lines: bytes) -> None:
    """Append the slices of some lines, a record each, and their evidence."""
    begin = history._ends.get("logs", 0)
    history._ends["logs"] = begin + len(lines)
    records = [
        Given(line, offset=begin + place, timestamp=history.now_ms, key=b"shop") for place, line in enumerate(lines)
    ]
    cut = a_slicer().cut("logs", 0, history._terms["logs"], records, begin)
    for evidence in cut.evidence:
        history.put(history.topics.evidence, evidence)
    piece: Slice
    for piece in cut.slices:
        history.fact(piece)


def stamped(at_ms: int, line: bytes) -> bytes:
    """Return a line with its time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S ").encode() + line


def unsteady(history: History) -> None:
    """Ship lines for three minutes, many of them late, so that the fold holds all of their windows."""
    for step in range(40):
        lines = []
        for place in range(int(draw(f"n{step}") * 6)):
            late_ms = int(draw(f"l{step} {place}") * 120_000)
            text = TEXTS[int(draw(f"t{step} {place}") * len(TEXTS))]
            lines.append(stamped(history.now_ms - late_ms, text))
        if lines:
            ship(history, *lines)
        history.log.now_ms += 5_000


def windows_of(history: History) -> Windows:
    """Return what the fold holds."""
    return history.fold._state.windows


def milliseconds(at: datetime) -> int:
    """Return a view's time as the core has it."""
    return int(at.replace(tzinfo=UTC).timestamp() * 1000)


async def test_rates_agree_with_the_folds(tmp_path: Path) -> None:
    """Tumbling and hopping minutes of every service, severity, category and pattern are those that the fold holds."""
    history = History()
    history.begin()
    unsteady(history)
    await archive(history, tmp_path)
    windows = windows_of(history)
    compared = Counter[str]()
    with EventLog(tmp_path) as log:
        for what in ("service", "severity", "category", "pattern"):
            for hop_ms in (60_000, PANE_MS):
                rows = log.query(f"FROM rates('{what}', hop_ms := {hop_ms}) ORDER BY ALL").to_dicts()
                for row in rows:
                    end = milliseconds(row["window_at"]) // PANE_MS + MINUTE_PANES - 1
                    pace = windows.services.get(row["name"])
                    rate = pace.lines if what == "service" and pace else windows.of(f"{what} {row['name']}")
                    assert rate is not None
                    assert rate.lines(end) == row["lines"], row
                    compared[what] += 1
    assert min(compared.values()) > 30
    assert set(compared) == {"service", "severity", "category", "pattern"}


async def test_sessions_agree_with_the_folds(tmp_path: Path) -> None:
    """Sessions of errors are those that the fold holds."""
    history = History()
    history.begin()
    for pause_ms in (5_000, 60_000, 61_000, 3_000, 200_000):
        ship(history, stamped(history.now_ms, TEXTS[4]))
        history.log.now_ms += pause_ms
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("FROM sessions() ORDER BY begin_at").rows()
    (pace,) = (pace for pace in windows_of(history).services.values() if pace.sessions)
    held = [(one.begin_ms, one.end_ms, one.lines) for one in pace.sessions]
    assert [(milliseconds(begin), milliseconds(end), lines) for _, begin, end, lines in rows] == held
    assert [lines for *_, lines in rows] == [3, 2]


async def test_templates_have_parents_and_examples(tmp_path: Path) -> None:
    """Four lines that differ in a name have one parent, under which their rate is counted, and each has its text."""
    history = History()
    history.begin()
    for text in TEXTS[:5]:
        ship(history, text)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("SELECT parent <> '', example, lines FROM templates ORDER BY example").rows()
        assert rows == [(text != TEXTS[4], text.decode(), 1) for text in TEXTS[:5]]
        rates = log.query("SELECT name, lines FROM rates('template') ORDER BY lines").rows()
        (parent,) = log.query("SELECT DISTINCT parent FROM templates WHERE parent <> ''").row(0)
    assert [lines for _, lines in rates] == [1, 4]
    assert rates[1][0] == parent


async def test_what_was_told_of_a_template(tmp_path: Path) -> None:
    """The view says when a template was new, and nothing of what was never told."""
    history = History()
    history.begin()
    for _ in range(15):
        ship(history, b"INFO all is well")
        history.log.now_ms += 60_000
    ship(history, TEXTS[4])
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        columns = "new_at IS NOT NULL, surged_at, vanished_at"
        assert log.query(f"SELECT {columns} FROM templates").rows() == [(True, None, None)]


async def test_an_unknown_kind_of_rate_is_refused(tmp_path: Path) -> None:
    """Rates of something that lines don't have are refused with what may be asked for."""
    history = History()
    history.begin()
    ship(history, TEXTS[4])
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log, pytest.raises(InputError, match="give service, severity"):
        log.query("FROM rates('colour')")
