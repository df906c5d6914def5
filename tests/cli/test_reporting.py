"""`logmend report`, `export` and `publish` over a log that the real fold made: what is printed, written and refused."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from click.testing import CliRunner, Result

from analytics import export
from analytics.manifest import SEGMENTS, load
from analytics.report.reading import report as report_of
from analytics.views import VIEWS
from streams.cli import main
from streams.cli.asking import open_log
from streams.cli.reporting import FORMATS
from streams.settings import Settings
from streams.web.report_page import nothing
from tests.analytics.archive import archive
from tests.analytics.trouble import troubled


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with the log of a history with something of everything."""
    data_dir = tmp_path_factory.mktemp("home")
    asyncio.run(archive(troubled(), data_dir / "log"))
    return data_dir


@pytest.fixture(autouse=True)
def _in_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(home))


def run(*arguments: str, status: int = 0) -> Result:
    """Run the command."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == status, result.output
    return result


def test_a_report_is_told_in_a_terminal() -> None:
    """Every figure is there with its name, its target and whether that is met."""
    text = " ".join(run("report").stdout.split())
    for words in (
        "8 incidents, 2 of them open",
        "fixed (auto-fix rate) 12.5 % 1 of 8 2.2 to 47.1 % at least 95 %: missed",
        "escalated 75.0 % 6 of 8 40.9 to 92.9 % at most 5 %: missed",
        "came again within a day 83.3 % 5 of 6",
        "needed nothing (false fire) 33.3 % 2 of 6",
        "time to repair, median 2 min",
        "most frequent category process, 100.0 %",
        "service with most error lines shop, 75.0 %",
        "isolate 1 100.0 % 1 of 1",
        "phase 1: quick fix 1 100.0 %",
        "process_crash on shop 6 5 nothing more often than by chance",
    ):
        assert words in text


def test_a_report_is_one_json_document() -> None:
    """--json has every figure as a number and every time as ISO 8601."""
    found = json.loads(run("report", "--json").stdout)
    assert (found["empty"], found["incidents"], found["auto_fix"]["share"]) == (False, 8, 0.125)
    assert [one["name"] for one in found["escalations"]] == ["auto_resolved", "pending", "resolved"]
    assert found["newest_at"] == "2027-01-15T08:08:27"


@pytest.mark.parametrize(
    ("since", "said"),
    [("7d", "The event log is empty: nothing was ever decided here"), ("2026-01-01", "Run logmend demo or logmend up")],
)
def test_an_empty_log_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, since: str, said: str) -> None:
    """Where nothing was ever logged, that is what is said, in a terminal, as JSON and on the page; it is no failure."""
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(tmp_path / "none"))
    assert said in run("report", "--since", since).stdout
    assert json.loads(run("report", "--json", "--since", since).stdout)["empty"] is True
    run("report", "--since", since, "--out", "report.html")
    assert said in Path("report.html").read_text()


@pytest.mark.parametrize("since", ["999999d", "0001-01-01", "1970-01-01"])
def test_the_whole_log_is_told(since: str) -> None:
    """However far back it is asked for, a report begins with the log."""
    assert run("report", "--since", since).stdout.startswith("From the beginning to ")


NEWEST = "The newest decision of the log is of 2027-01-15 08:08 UTC; --since looks farther back."


def test_a_span_without_anything_is_said() -> None:
    """Where nothing happened lately, the newest decision is named, and how to look farther back."""
    with open_log(Settings.load()) as log:
        found = report_of(log, datetime(2099, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - UTC without a zone
    assert nothing(found) == f"Nothing happened in that time: no incident, no error line, no action. {NEWEST}"


def test_a_span_that_is_still_to_come_is_said() -> None:
    """Of a time in the future nothing can be told, and that is another thing than that nothing happened."""
    text = run("report", "--since", "2100-01-01").stdout
    assert f"That time is still to come: nothing can have happened in it. {NEWEST}" in text


def test_a_page_is_written_once() -> None:
    """--out writes a page and says so; it replaces nothing without --force, and the failure is one line."""
    assert run("report", "--out", "report.html").stderr.startswith("report.html: ")
    page = Path("report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    refused = run("report", "--out", "report.html", status=1)
    assert refused.stderr == "error: report.html is there already: --force replaces it\n"
    run("report", "--out", "report.html", "--force")
    assert [one.name for one in Path.cwd().iterdir()] == ["report.html"]


@pytest.mark.parametrize("words", [["--since", "yesterday"], ["--nonsense"], ["--out", "."]])
def test_a_report_asked_for_wrongly_exits_with_2(words: list[str]) -> None:
    """What was typed wrongly is said, with the usage."""
    assert "Error:" in run("report", *words, status=2).stderr


def test_the_formats_are_those_that_can_be_written() -> None:
    """What --format offers is what an export can do."""
    assert tuple(export.FORMATS) == FORMATS


@pytest.mark.parametrize("command", ["report", "export", "publish"])
def test_help_loads_nothing_heavy(command: str) -> None:
    """Help of these commands needs neither the data's libraries nor the web's, which is what makes it quick."""
    code = (
        f"import sys\nfrom streams.cli import main\ntry:\n    main(['{command}', '--help'])\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert {"polars", "duckdb", "pyarrow", "fastapi", "pydantic", "jinja2"}.isdisjoint(done.stderr.split())


def test_a_view_is_exported_to_stdout() -> None:
    """A view's name is enough; JSON unless another format is asked for."""
    rows = json.loads(run("export", "incidents").stdout)
    assert sorted(row["service"] for row in rows) == ["cart", "mail", *["shop"] * 6]
    table = csv.DictReader(io.StringIO(run("export", "incidents", "--format", "csv").stdout))
    assert sorted(row["id"] for row in table) == sorted(row["id"] for row in rows)


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_an_answer_is_exported_to_a_file(form: str) -> None:
    """The file's name says the format; what was written is told on stderr."""
    said = run("export", "select kind, count(*) as n from decisions group by all", "--out", f"kinds.{form}")
    assert said.stdout == ""
    frame: pl.DataFrame = getattr(pl, f"read_{form}")(f"kinds.{form}")
    assert said.stderr.startswith(f"kinds.{form}: {frame.height} rows, ")
    assert frame.columns == ["kind", "n"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["incidentz"], "there is no view incidentz: there is incidents"),
        (["qqqqqqqq"], f"there is no view qqqqqqqq: there is {VIEWS[0]}, {VIEWS[1]}"),
        ([" "], "give a view"),
        (["incidents", "--format", "parquet"], "Parquet needs a file"),
        (["incidents", "--out", "x.xlsx"], "x.xlsx ends with no known format: give --format json or csv or parquet"),
    ],
)
def test_an_export_asked_for_wrongly_exits_with_2(words: list[str], said: str) -> None:
    """A view that is not known is answered with those that are near; formats are named."""
    assert said in " ".join(run("export", *words, status=2).stderr.split())


@pytest.mark.parametrize(
    "words", [["select nope from decisions"], ["drop view decisions;"], ["incidents", "--out", "no/x.csv"]]
)
def test_an_export_that_fails_is_one_line(words: list[str]) -> None:
    """What can't be answered or written ends with status 1 and one line; nothing is left."""
    failed = run("export", *words, status=1)
    assert failed.stderr.startswith("error: ")
    assert len(failed.stderr.splitlines()) == 1
    assert list(Path.cwd().iterdir()) == []


def test_the_log_is_published() -> None:
    """The file has every view as a table and is counted; it replaces nothing without --force."""
    said = run("publish", "log.duckdb").stderr
    assert said.startswith(f"log.duckdb: {len(VIEWS)} tables, ")
    with duckdb.connect("log.duckdb", read_only=True) as reader:
        assert reader.sql("SELECT count(*) FROM tasks").fetchall() == [(8,)]
    assert run("publish", "log.duckdb", status=1).stderr == "error: log.duckdb is there already: --force replaces it\n"


@pytest.mark.parametrize("words", [["report"], ["export", "decisions"], ["publish", "log.duckdb"]])
def test_damage_says_verify(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str]) -> None:
    """Over a damaged log each of them ends with status 1, the file's name, and what to do."""
    directory = tmp_path / "damaged" / "log"
    asyncio.run(archive(troubled(), directory))
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(directory.parent))
    segment = directory / SEGMENTS / load(directory).files("decisions")[0].name
    segment.write_bytes(segment.read_bytes()[: segment.stat().st_size // 2])
    assert run(*words, status=1).stderr == f"error: {segment.name} is missing or damaged: run logmend verify\n"
    assert not (tmp_path / "log.duckdb").exists()
