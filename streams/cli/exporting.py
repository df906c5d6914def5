"""The event log for others: an answer as JSON, CSV or Parquet, and all of it as one DuckDB file."""

from __future__ import annotations

import difflib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from analytics.export import FORMATS, export_file
from analytics.export import export as write
from analytics.publish import publish as write_all
from analytics.views import VIEWS
from streams.cli.asking import open_log
from streams.settings import Settings

NEAR_MAX: Final = 3
"""Names that are proposed for one that is not known."""
_out: Final = click.Path(path_type=Path, dir_okay=False)
_force_option = click.option("--force", is_flag=True, help="Replace the file when it is there already.")


@click.command()
@click.argument("what", metavar="VIEW|SQL")
@click.option("--format", "form", type=click.Choice(tuple(FORMATS)), help="By default as FILE's name ends, or json.")
@click.option("--out", type=_out, metavar="FILE", help="By default the standard output; Parquet needs a file.")
@_force_option
def export(what: str, form: str | None, out: Path | None, force: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Write a view of the event log, or the answer to a question in SQL, as JSON, CSV or Parquet.

    It is written as it is read, so it may be larger than the memory. A file is there whole or not at all.

    \b
    Example:
      logmend export incidents --out incidents.parquet
      logmend export "select * from commands where status <> 'done'" --format csv > failed.csv
    """
    question = _question(what)
    chosen = form or _format_of(out)
    if out is None and chosen == "parquet":
        raise click.UsageError("Parquet needs a file: give --out FILE")
    with open_log(Settings.load()) as log:
        if out is None:
            write(log, question, chosen, sys.stdout.buffer)
            return
        rows = export_file(log, question, chosen, out, force=force)
    click.echo(f"{out}: {rows} rows, {out.stat().st_size} bytes", err=True)


def _question(what: str) -> str:
    """Return the SELECT that is meant by a view's name or a question."""
    words = what.split()
    if not words:
        raise click.UsageError("give a view, such as incidents, or a question in SQL")
    if len(words) > 1 or "(" in what:
        return what
    if words[0] not in VIEWS:
        near = difflib.get_close_matches(words[0], VIEWS, n=NEAR_MAX) or VIEWS
        raise click.BadParameter(f"there is no view {words[0]}: there is {', '.join(near)}", param_hint="VIEW")
    return f"FROM {words[0]}"


def _format_of(out: Path | None) -> str:
    ending = out.suffix.removeprefix(".").lower() if out else "json"
    if ending not in FORMATS:
        raise click.UsageError(f"{out} ends with no known format: give --format {' or '.join(FORMATS)}")
    return ending


@click.command()
@click.argument("file", type=_out)
@_force_option
def publish(file: Path, force: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Write the event log as one DuckDB file, that any DuckDB from 1.0 on opens: every view is a table in it.

    The table "published" says of each what it is. The file is there whole or not at all; its rows are counted first.
    It is a copy: it has the redacted text of lines that is kept now, and what is erased from the log stays in it.

    \b
    Example:
      logmend publish logmend.duckdb
      duckdb logmend.duckdb "select status, count(*) from incidents group by all"
    """
    with open_log(Settings.load()) as log:
        rows = write_all(log, file, datetime.now(UTC).replace(tzinfo=None), force=force)
    size = file.stat().st_size
    click.echo(f"{file}: {len(rows)} tables, {sum(rows.values())} rows, {size} bytes, counted", err=True)
