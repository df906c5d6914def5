"""Questions to an event log that the real fold made: answers for people and for programs, and exit statuses."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from analytics.views import EventLog
from streams.cli import files, main
from streams.core.errors import InputError
from streams.core.experience import Experience, LessonSpec
from tests.analytics.archive import archive
from tests.analytics.history import History


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory with the log of a service that broke and was healed."""
    data_dir = tmp_path_factory.mktemp("home")
    history = History()
    history.begin()
    history.heal("shop")
    asyncio.run(archive(history, data_dir / "log"))
    return data_dir


@pytest.fixture(autouse=True)
def _in_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(home))


def run(*arguments: str, said: str = "", status: int = 0) -> str:
    """Run the command and return what it prints on stdout."""
    result = CliRunner().invoke(main, arguments, input=said)
    assert result.exit_code == status, result.output
    return result.stdout


def test_sql_answers_as_json() -> None:
    """--json prints rows with their columns by name."""
    rows = json.loads(run("sql", "select kind, service from decisions order by seq", "--json"))
    assert {"kind": "incident_opened", "service": "shop"} in rows
    assert [row["kind"] for row in rows if row["kind"] != "assessed"][-1] == "incident_closed"


def test_sql_answers_as_csv_with_nested_values_as_json() -> None:
    """--format csv can be read by anything; lists and structs are JSON in it."""
    text = run("sql", "select id, causes from decisions where kind = 'incident_opened'", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(text))
    assert json.loads(row["causes"])[0]["topic"] == "logs"


def test_sql_answers_as_a_table() -> None:
    """Without an option the answer is a table with headings."""
    heading, row = run("sql", "select count(*) as n, 'x' as y from decisions").splitlines()
    assert heading.split() == ["n", "y"]
    assert row.split()[1] == "x"


def test_sql_reads_a_question_from_stdin() -> None:
    """A dash stands for the standard input: questions may have many lines."""
    assert json.loads(run("sql", "-", "--json", said="select\n 7 as x")) == [{"x": 7}]


@pytest.mark.parametrize(
    "question", ["select * from nothing", "drop view decisions", "copy decisions to 'x'", "selec 1"]
)
def test_a_wrong_question_is_one_line(question: str) -> None:
    """What can't be answered, or would write, is an error of one line and status 1."""
    result = CliRunner().invoke(main, ["sql", question])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert "^" not in result.stderr


@pytest.mark.parametrize("question", ["", " \n"])
def test_no_question_is_wrong_usage(question: str) -> None:
    """Without a question there is an example of one, and status 2."""
    for arguments, said in ((["sql", question], ""), (["sql", "-"], question)):
        result = CliRunner().invoke(main, arguments, input=said)
        assert result.exit_code == 2
        assert "give a question" in result.stderr


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("123456789.0", "123456789"),
        ("0.1::double + 0.2::double", "0.3"),
        ("1.5e-12", "1.5e-12"),
        ("1234567.125", "1234567.125"),
    ],
)
def test_a_table_shows_numbers_whole(number: str, shown: str) -> None:
    """A double has its digits, without the noise of its last bit."""
    assert run("sql", f"select ({number})::double as n").split() == ["n", shown]


def test_what_is_no_number_is_null_in_json() -> None:
    """JSON has no NaN and no infinity, alone or inside a list."""
    text = run("sql", "select 'nan'::double as a, ['inf'::double, 1] as b, {'c': '-inf'::double} as d", "--json")
    assert json.loads(text, parse_constant=pytest.fail) == [{"a": None, "b": [None, 1.0], "d": {"c": None}}]


@pytest.mark.parametrize("words", [RuntimeError("Query interrupted"), duckdb.InterruptException("INTERRUPT Error")])
def test_ctrl_c_in_a_question_ends_quietly(monkeypatch: pytest.MonkeyPatch, words: Exception) -> None:
    """However DuckDB words an interruption, the status is 130 and nothing is said."""

    def interrupted(*_: object) -> None:
        if isinstance(words, duckdb.Error):
            raise InputError(str(words)) from words
        raise words

    monkeypatch.setattr(EventLog, "query", interrupted)
    result = CliRunner().invoke(main, ["sql", "select 1"])
    assert (result.exit_code, result.output) == (130, "")


def test_sql_shows_the_log_as_it_was() -> None:
    """--as-of takes an offset of the facts or a time, of a question and of a conversation; anything else is said."""
    count = "select count(*) as n from decisions"
    assert json.loads(run("sql", count, "--json", "--as-of", "0")) == [{"n": 0}]
    assert json.loads(run("sql", count, "--json", "--as-of", "2026-11-20T10:00")) == [{"n": 0}]
    assert json.loads(run("sql", count, "--json", "--as-of", "2100-01-01"))[0]["n"] > 0
    assert run("shell", "--format", "csv", "--as-of", "0", said=f"{count};") == "n\n0\n"
    result = CliRunner().invoke(main, ["sql", count, "--as-of", "noon"])
    assert (result.exit_code, "'noon' is neither" in result.stderr) == (1, True)


def test_an_empty_home_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nothing was ever logged, the views are there and empty, and a person learns why."""
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(main, ["sql", "select * from decisions", "--json"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert "no event log" in result.stderr


def test_the_shell_answers_and_goes_on_after_an_error() -> None:
    """Statements end with a semicolon and may take several lines; an error does not end the conversation."""
    said = "select 1\n as one;\nselect nonsense;\n.columns lines\n.views\n.quit\nselect 2 as two;\n"
    result = CliRunner().invoke(main, ["shell", "--format", "csv"], input=said)
    assert result.exit_code == 1
    assert result.stdout.startswith("one\n1\n")
    assert "record_offset" in result.stdout
    assert "incidents" in result.stdout.splitlines()
    assert "two" not in result.stdout
    assert result.stderr.startswith("error: ")


def test_the_shell_exits_with_0_when_all_was_answered() -> None:
    """A script can tell whether its questions were all answered."""
    assert run("shell", "--format", "csv", said="select 1 as one;\nselect 2 as two;\n") == "one\n1\ntwo\n2\n"


def test_verify_says_that_the_log_is_clean() -> None:
    """An untouched log has no findings and status 0."""
    assert run("verify").startswith("clean: ")
    assert json.loads(run("verify", "--offline", "--json"))["ok"] is True


def test_replay_recomputes_the_same_bytes() -> None:
    """The recorded facts lead to the recorded decisions."""
    assert run("replay", "--verify").startswith("identical: ")
    assert json.loads(run("replay", "--json"))["differing"] == 0


def test_a_flipped_bit_is_named_and_exits_with_1(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """verify, and replay --verify, name the file that was touched."""
    copy = tmp_path / "copy"
    for path in (home / "log").rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    victim = max((copy / "log").rglob("decisions*.parquet"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(copy))
    for command in (["verify"], ["replay", "--verify"]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert victim.name in result.stderr


def test_why_goes_from_a_command_to_its_lines() -> None:
    """The explanation of a command names the lines, with topic, partition, offset and index."""
    (row,) = json.loads(run("sql", "select id from commands limit 1", "--json"))
    assert "from logs/0 offset 0 index 0: shop broke" in run("why", row["id"])
    explained = json.loads(run("why", row["id"], "--json"))
    cause = explained["steps"][0]["causes"][0]
    assert (cause["topic"], cause["partition"], cause["index"]) == ("logs", 0, 0)


def test_why_of_nothing_is_one_line() -> None:
    """An id that is not in the log is an error of one line."""
    result = CliRunner().invoke(main, ["why", "9-9-9"])
    assert result.exit_code == 1
    assert "nothing in the event log has the id '9-9-9'" in result.stderr


def test_why_needs_an_id() -> None:
    """An empty id is wrong usage; it does not stand for the decisions that belong to no incident."""
    result = CliRunner().invoke(main, ["why", ""])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give an id" in result.stderr


@pytest.mark.parametrize("below", ["", "deeper/down"])
@pytest.mark.parametrize(
    "command", [["sql", "select 1"], ["why", "1-1-0"], ["verify"], ["verify", "--offline"], ["replay"], ["shell"]]
)
def test_a_data_directory_that_is_a_file_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str], below: str
) -> None:
    """What LOGMEND_DATA_DIR names must be a directory, and the error says what to set."""
    path = tmp_path / "file"
    path.touch()
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(path / below))
    result = CliRunner().invoke(main, command)
    assert (result.exit_code, result.stdout) == (1, "")
    wanted = f"error: {path / below}: Not a directory; set LOGMEND_DATA_DIR to a directory of yours\n"
    assert result.stderr == wanted


def test_lessons_that_are_exported_can_be_applied(tmp_path: Path) -> None:
    """What outcomes taught here is listed, and the file that is written of it is one that can be applied."""
    (listed,) = json.loads(run("lessons", "--json"))
    assert (listed["pattern"], listed["action"], listed["successes"]) == ("process_crash", "process.restart", 1)
    said = run("lessons", "export", str(tmp_path / "lessons.toml"))
    assert said.startswith("1 lessons: logmend apply ")
    assert files.read(tmp_path / "lessons.toml") == Experience(lessons=(LessonSpec(**listed),))
