"""How answers are printed: tables for people, JSON for programs."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Add ``--json``; the command gets ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(command)


def print_json(value: Any) -> None:
    """Print one JSON document; times and other values that JSON lacks become text, what is no number becomes null."""
    click.echo(json.dumps(_finite(value), indent=2, default=str, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(held) for key, held in value.items()}
        case list() | tuple():
            return [_finite(held) for held in value]
    return value


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table that fits the terminal; where there is none, nothing is cut."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
        count += 1
    width = None if sys.stdout.isatty() else 10_000
    if count:
        Console(width=width, soft_wrap=width is not None).print(table)


def printable(text: str) -> str:
    """Return text without control characters: a log line must not be able to steer the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def print_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool, nothing: str) -> None:
    """Print records that have the same fields; ``nothing`` is said when there are none."""
    if as_json:
        print_json(list(rows))
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        click.echo(nothing)
