"""The data dictionary: every view with its columns, their types and what they mean.

    python -m analytics.dictionary > docs/data-dictionary.md

Views and types are those of the views themselves; what a view is stands at the head of its SQL, what a column means in
``dictionary.toml``.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

import click

from analytics.views import MACROS, VIEWS, EventLog

COMMON: Final = "common"
"""The section of what a name means in every view that has no description of its own."""
_HEAD: Final = """# Data dictionary

Generated from the views by `python -m analytics.dictionary`. All times are TIMESTAMP in UTC. Ask with `logmend sql`,
of the log as it was with `--as-of TIME|OFFSET`.
"""


class Column(NamedTuple):
    """A column of a view; ``meaning`` is empty when nobody wrote it down."""

    name: str
    kind: str
    meaning: str


class View(NamedTuple):
    """A view, or a table with arguments, which has no columns here."""

    name: str
    about: str
    columns: tuple[Column, ...]


def views() -> tuple[View, ...]:
    """Return every view, as it is over an empty log, and every table with arguments."""
    with tempfile.TemporaryDirectory() as directory, EventLog(Path(directory)) as log:
        log.make()
        found = [View(name, _about(name), tuple(_columns(log, name))) for name in VIEWS]
    return (*found, *(View(name, _about(name), ()) for name in MACROS))


@cache
def meanings() -> dict[str, dict[str, str]]:
    """Return what is written down: by view, or ``COMMON``, and column."""
    return tomllib.loads(files("analytics").joinpath("dictionary.toml").read_text("utf-8"))


def markdown() -> str:
    """Return the whole dictionary as Markdown."""
    return "\n".join([_HEAD, *(line for view in views() for line in _section(view))])


def _columns(log: EventLog, view: str) -> Iterator[Column]:
    own, common = meanings().get(view, {}), meanings()[COMMON]
    for name, kind, *_ in log.connection.execute(f"DESCRIBE {view}").fetchall():
        yield Column(name, kind, own.get(name, common.get(name, "")))


def _about(name: str) -> str:
    """Return the comment at the head of a view's SQL as one paragraph."""
    text = files("analytics").joinpath("sql", f"{name}.sql").read_text("utf-8")
    comment = text.partition("CREATE ")[0]
    return " ".join(line.removeprefix("--").strip() for line in comment.splitlines())


def _section(view: View) -> Iterator[str]:
    yield f"## {view.name}{'' if view.columns else '(...)'}\n"
    yield f"{view.about}\n"
    if view.columns:
        yield "| column | type | meaning |"
        yield "|---|---|---|"
        yield from (f"| `{name}` | {kind} | {meaning} |" for name, kind, meaning in view.columns)
        yield ""


if __name__ == "__main__":
    click.echo(markdown(), nl=False)
