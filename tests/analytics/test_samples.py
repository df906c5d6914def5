"""Metrics in SQL: what was measured, what was counted, and the question that the README of metrics asks."""

from __future__ import annotations

from pathlib import Path

from analytics.views import EventLog
from streams.core.events import Slice
from tests.analytics.archive import archive
from tests.analytics.history import History
from tests.ingest.given import Given
from tests.ingest.given import slicer as a_slicer

README = Path(__file__).parents[2] / "streams" / "ingest" / "metrics" / "README.md"
SCRAPE = (
    'http_requests_total{{job="shop",code="200"}} {served}\nhttp_requests_total{{job="shop",code="500"}} {failed}\n'
)


def scraped(history: History, served: int, failed: int) -> None:
    """Append the slice of a scrape, a quarter of a minute after the one before."""
    history.log.now_ms += 15_000
    offset = history._ends.get("metrics", 0)
    history._ends["metrics"] = offset + 1
    value = SCRAPE.format(served=served, failed=failed).encode()
    record = Given(value, offset=offset, topic="metrics", timestamp=history.now_ms)
    piece: Slice
    (piece,) = a_slicer().cut("metrics", 0, 1, [record], offset).slices
    history.fact(piece)


async def test_what_was_measured_is_a_row(tmp_path: Path) -> None:
    """A sample has its average, extremes and last value, and the slice that it stands in; points are accounted for."""
    history = History()
    history.begin()
    history.measure("shop", 40.0, 80.0, 60.0)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        columns = "service, host, metric, kind, series, count, avg, sum, min, max, last, topic, partition, from_offset"
        (row,) = log.query(f"SELECT {columns} FROM samples").rows()
        assert row == ("shop", "h1", "cpu", "gauge", "cpu", 3, 60.0, None, 40.0, 80.0, 60.0, "metrics", 0, 0)
        assert log.query("SELECT topic, from_offset, to_offset, points, unmapped FROM points").rows() == [
            ("metrics", 0, 1, 4, 1)
        ]


async def test_the_question_of_the_readme(tmp_path: Path) -> None:
    """Differenced by series, counters give the share of failed requests, also over a restart of the service."""
    history = History()
    history.begin()
    for served, failed in ((1_000, 50), (1_090, 60), (5, 1)):
        scraped(history, served, failed)
    await archive(history, tmp_path)
    question = README.read_text().partition("```sql\n")[2].partition("```")[0]
    with EventLog(tmp_path) as log:
        rows = log.query(question).to_dicts()
        assert {row["service"] for row in rows} == {"shop"}
        assert [row["error_rate"] for row in rows if row["error_rate"] is not None] == [10.0]
        assert log.query("SELECT DISTINCT avg, sum FROM samples WHERE kind = 'total'").rows() == [(None, None)]
