"""The event log for others: what it teaches, answers as files, all of it as one file. Their help loads nothing big."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from streams.cli.output import json_option
from streams.cli.times import since

FORMATS: Final = ("json", "csv", "parquet")
"""Those of ``analytics.export``, which loads Polars and Arrow."""
_out: Final = click.Path(path_type=Path, dir_okay=False)
_force_option = click.option("--force", is_flag=True, help="Replace the file when it is there already.")


@click.command()
@click.option(
    "--since",
    "since_ms",
    default="7d",
    show_default=True,
    callback=since,
    help="30m, 2h, 7d ago, or an ISO time (UTC); 1970-01-01 for the whole log.",
)
@click.option("--out", type=_out, metavar="FILE", help="Write a page with plots: FILE.html.")
@_force_option
@json_option
def report(since_ms: int, out: Path | None, force: bool, as_json: bool) -> None:  # noqa: FBT001 - click passes them
    r"""Tell what the log teaches: what was fixed and by what, how long it took, what comes again and what preceded it.

    The page is one file that asks nobody for anything, to be read in any browser, wide or narrow, dark or light.

    \b
    Example:
      logmend report
      logmend report --since 30d --out report.html
      logmend report --since 2026-11-01 --json
    """
    from streams.cli.telling import tell  # noqa: PLC0415 - see above

    tell(since_ms, out, force=force, as_json=as_json)


@click.command()
@click.argument("what", metavar="VIEW|SQL")
@click.option("--format", "form", type=click.Choice(FORMATS), help="By default as FILE's name ends, or json.")
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
    from streams.cli.exporting import export_to  # noqa: PLC0415 - see above

    export_to(what, form, out, force=force)


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
    from streams.cli.exporting import publish_to  # noqa: PLC0415 - see above

    publish_to(file, force=force)
