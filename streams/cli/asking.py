"""Questions to the event log: in SQL, whether it is whole, whether it can be recomputed, and why something happened."""

from __future__ import annotations

import json
import sys
from typing import Final

import click
import polars as pl

from analytics.views import EventLog
from streams.cli.output import json_option, print_json, print_table
from streams.cli.shell import converse
from streams.settings import Settings

FORMATS: Final = ("table", "csv", "json")


def open_log(settings: Settings) -> EventLog:
    """Return a reader of this data directory's event log; say so when there is none yet."""
    log = EventLog(settings.data_dir / "log")
    if log.manifest.version == 0:
        click.echo(f"no event log in {settings.data_dir} yet: run logmend demo or logmend up", err=True)
    return log


def show(frame: pl.DataFrame, form: str) -> None:
    """Print an answer as a table, as CSV or as JSON."""
    if form == "csv":
        click.echo(_flat(frame).write_csv(), nl=False)
    elif form == "json":
        print_json(frame.to_dicts())
    else:
        print_table(frame.columns, [[_cell(value) for value in row] for row in frame.iter_rows()])


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame that CSV can hold: lists and structs become JSON."""
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    texts = [
        pl.Series(name, [None if row is None else json.dumps(row, default=str) for row in frame[name].to_list()])
        for name in nested
    ]
    return frame.with_columns(texts)


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else value


@click.command()
@click.argument("question")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@json_option
def sql(question: str, form: str, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Ask the event log one question in DuckDB's SQL; "-" reads it from the standard input.

    It may be asked while the log is written, by any number of people at once. Times are UTC.

    \b
    Example:
      logmend sql "select category, severity, sum(lines) as lines from detections group by all order by lines desc"
      logmend sql "select * from commands where status <> 'done'" --format csv
    """
    text = sys.stdin.read() if question == "-" else question
    with open_log(Settings.load()) as log:
        show(log.query(text), "json" if as_json else form)


@click.command()
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
def shell(form: str) -> None:
    r"""Ask the event log question after question, each over its newest state.

    \b
    Example:
      logmend shell
      echo "select count(*) from lines;" | logmend shell --format csv
    """
    with open_log(Settings.load()) as log:
        converse(log, lambda reader, question: show(reader.query(question), form))
