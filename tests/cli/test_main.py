"""The command as a person meets it: help, exit status, one-line errors."""

from __future__ import annotations

import gc
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from streams.cli import ENTRIES, main
from streams.cli.lazy import Entry, LazyGroup
from streams.cli.output import print_table
from streams.core.errors import InputError, InvariantError

HEAVY = {"faust", "aiokafka", "duckdb", "polars", "pyarrow", "pydantic", "hyperscan", "rich", "msgspec", "fastavro"}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_command_has_help_with_an_example(name: str) -> None:
    """--help says what the command does and shows how it is called; so does that of each subcommand."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    paths = [(name, inner) for inner in command.commands] if isinstance(command, click.Group) else [(name,)]
    for path in paths:
        result = CliRunner().invoke(main, [*path, "--help"])
        assert result.exit_code == 0, result.output
        head, _, example = result.output.partition("Example:\n")
        assert f" logmend {' '.join(path)}" in example
        assert "\\b" not in head


def test_the_summaries_are_those_of_commands_that_exist() -> None:
    """Every name in the table leads to a command of that name."""
    context = click.Context(main)
    for name in ENTRIES:
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name


def test_the_garbage_collector_works_once_a_command_is_imported() -> None:
    """It stands still during an import alone, also one that fails."""
    group = LazyGroup(entries={"gone": Entry("streams.cli.gone:gone", "Is not there.")})
    with pytest.raises(ModuleNotFoundError):
        group.get_command(click.Context(group), "gone")
    assert gc.isenabled()
    assert main.get_command(click.Context(main), "sql")
    assert gc.isenabled()


def test_help_imports_nothing_heavy() -> None:
    """`logmend --help` needs click and nothing else, which is what makes it quick."""
    code = (
        "import sys\nfrom streams.cli import main\n"
        "try:\n    main(['--help'])\nfinally:\n    print(sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.strip("[]' ").split(".")[0] for name in done.stderr.split(",")}
    assert "click" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["sql"], ["ship", "/there/is/no/such/file"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    """What was typed wrongly is said, with the usage."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "Error:" in result.output


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("the disk is full:\n free some space"), "error: the disk is full: free some space\n"),
        (InvariantError("a hole"), "error: stopped before anything wrong is written: a hole\n"),
        (ExceptionGroup("two", [InputError("a"), KeyError("b")]), "error: a\n"),
        (KeyError("x"), "error: unexpected KeyError: 'x'; run logmend --debug for the traceback\n"),
    ],
)
def test_an_error_is_one_line_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, said: str
) -> None:
    """A person gets one line; the traceback comes with --debug only."""

    @click.command()
    def fails() -> None:
        raise error

    monkeypatch.setitem(ENTRIES, "fails", Entry("streams.cli:fails", ""))
    monkeypatch.setattr("streams.cli.fails", fails, raising=False)
    result = CliRunner().invoke(main, ["fails"])
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", said)
    result = CliRunner().invoke(main, ["--debug", "fails"])
    assert "Traceback" in result.stderr
    assert result.stderr.endswith(said)


def test_a_wrong_setting_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable is named with the one that was meant, and nothing is done."""
    monkeypatch.setenv("LOGMEND_BROKER", "kafka:9092")
    result = CliRunner().invoke(main, ["sql", "select 1"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: LOGMEND_BROKER is not a setting: did you mean LOGMEND_BROKERS?")
    assert len(result.stderr.splitlines()) == 1


def test_a_group_is_lazy_until_its_command_runs() -> None:
    """Listing never imports; only asking for the command does."""
    group = LazyGroup("g", entries={"broken": Entry("there.is.no.such.module:x", "a summary")})
    assert "a summary" in CliRunner().invoke(group, ["--help"]).output
    with pytest.raises(ModuleNotFoundError):
        group.get_command(click.Context(group), "broken")


def test_a_table_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and markup in data are shown, not obeyed."""
    print_table(("text",), [("\x1b[2Jgone [red]x[/red]",)])
    assert "\\x1b[2Jgone [red]x[/red]" in capsys.readouterr().out
