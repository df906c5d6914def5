"""Questions to the event log: in SQL, whether it is whole, whether it can be recomputed, and why something happened."""

from __future__ import annotations

import sys
from typing import Final

import click
import duckdb
import polars as pl

from analytics.asof import parse
from analytics.export import flat
from analytics.views import EventLog
from streams.cli.home import log_directory
from streams.cli.output import json_option, print_json, print_table
from streams.cli.shell import converse
from streams.core.errors import InputError
from streams.settings import Settings

FORMATS: Final = ("table", "csv", "json")
DECIMALS: Final = 9
"""Of a number in a table; CSV and JSON have all that it has."""
INTERRUPTED: Final = "Query interrupted"
"""DuckDB's words when Ctrl-C meets it between two steps of a query."""
SMALL: Final = 1e-6
"""A number below this keeps its digits however far behind the point they are."""


def open_log(settings: Settings, as_of: str | None = None) -> EventLog:
    """Return a reader of this data directory's event log, as of some moment; say so when there is none yet."""
    log = EventLog(log_directory(settings), None if as_of is None else parse(as_of))
    if log.manifest.version == 0:
        click.echo(f"no event log in {settings.data_dir} yet: run logmend demo or logmend up", err=True)
    return log


def ask(log: EventLog, question: str) -> pl.DataFrame:
    """Answer a question; ``KeyboardInterrupt`` however DuckDB words that it was interrupted."""
    try:
        return log.query(question)
    except (InputError, RuntimeError) as error:
        if isinstance(error.__cause__, duckdb.InterruptException) or str(error) == INTERRUPTED:
            raise KeyboardInterrupt from error
        raise


def show(frame: pl.DataFrame, form: str) -> None:
    """Print an answer as a table, as CSV or as JSON."""
    if form == "csv":
        click.echo(flat(frame).write_csv(), nl=False)
    elif form == "json":
        print_json(frame.to_dicts())
    else:
        print_table(frame.columns, [[_cell(value) for value in row] for row in frame.iter_rows()])


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{round(value, DECIMALS) if abs(value) >= SMALL else value:.15g}"
    return "" if value is None else value


_as_of_option = click.option(
    "--as-of",
    metavar="TIME|OFFSET",
    help="Show the log as it was at a time (UTC without a zone), or right after the fact of an offset.",
)


@click.command()
@click.argument("question")
@_as_of_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@json_option
def sql(question: str, as_of: str | None, form: str, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Ask the event log one question in DuckDB's SQL; "-" reads it from the standard input.

    It may be asked while the log is written, by any number of people at once. Times are UTC.

    \b
    Example:
      logmend sql "select category, severity, sum(lines) as lines from detections group by all order by lines desc"
      logmend sql "select * from commands where status <> 'done'" --format csv
      logmend sql "from incidents where closed_at is null" --as-of 2026-11-20T10:00
      logmend sql "from auto_fix_rate(days := 30)"
    """
    text = sys.stdin.read() if question == "-" else question
    if not text.strip():
        raise click.UsageError('give a question, such as "select kind, count(*) from decisions group by all"')
    with open_log(Settings.load(), as_of) as log:
        show(ask(log, text), "json" if as_json else form)


@click.command()
@_as_of_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
def shell(as_of: str | None, form: str) -> None:
    r"""Ask the event log question after question, each over its newest state.

    Exit status 1 when a question that was not typed but piped in can't be answered.

    \b
    Example:
      logmend shell
      echo "select count(*) from lines;" | logmend shell --format csv
    """
    with open_log(Settings.load(), as_of) as log:
        answered = converse(log, lambda reader, question: show(ask(reader, question), form))
    if not (answered or sys.stdin.isatty()):
        raise click.exceptions.Exit(1)
