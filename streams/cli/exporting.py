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


def export_to(what: str, form: str | None, out: Path | None, *, force: bool) -> None:
    """Write a view, or the answer to a question, to a file or to the standard output."""
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


def publish_to(file: Path, *, force: bool) -> None:
    """Write every view to one DuckDB file."""
    with open_log(Settings.load()) as log:
        rows = write_all(log, file, datetime.now(UTC).replace(tzinfo=None), force=force)
    size = file.stat().st_size
    click.echo(f"{file}: {len(rows)} tables, {sum(rows.values())} rows, {size} bytes, counted", err=True)
