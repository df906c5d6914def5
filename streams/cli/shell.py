"""``logmend shell``: question after question, each over the newest state of the log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Final

import click

from analytics.views import VIEWS, EventLog
from streams.core.errors import InputError

HELP: Final = """\
End a question with ; and press Enter. Views: .views   columns of one: .columns decisions   leave: .quit or Ctrl-D"""
FIRST: Final = "logmend> "
NEXT: Final = "    ...> "


def converse(log: EventLog, show: Callable[[EventLog, str], None]) -> bool:
    """Answer until the end of the input; True when all was answered.

    An error is said and the conversation goes on; so it does when a typed question is interrupted.
    """
    answered = True
    if sys.stdin.isatty():
        import_module("readline")  # input() gets history and arrow keys by its mere presence
        click.echo(HELP)
    for said in _statements():
        if said == ".quit":
            break
        try:
            _answer(log, said, show)
        except InputError as error:
            answered = False
            click.echo(f"error: {error}", err=True)
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                raise
            click.echo("interrupted", err=True)
    return answered


def _answer(log: EventLog, said: str, show: Callable[[EventLog, str], None]) -> None:
    word, _, rest = said.partition(" ")
    if not word.startswith("."):
        show(log, said)
    elif word == ".views":
        click.echo("\n".join(VIEWS))
    elif word == ".columns" and rest.strip() in VIEWS:
        show(log, f"describe {rest.strip()}")
    else:
        click.echo(HELP)


def _statements() -> Iterator[str]:
    """Yield what is said: a line that begins with a dot, or all until a semicolon."""
    lines: list[str] = []
    while True:
        try:
            line = input((NEXT if lines else FIRST) if sys.stdin.isatty() else "").strip()
        except EOFError:
            if lines:
                yield " ".join(lines)
            return
        except KeyboardInterrupt:
            click.echo()
            lines = []
            continue
        if line.startswith(".") and not lines:
            yield line
            continue
        if line:
            lines.append(line)
        if line.endswith(";"):
            yield " ".join(lines).rstrip(";")
            lines = []
