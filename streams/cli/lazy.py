"""A group of commands that imports a command only when it is called, and says what went wrong in one line."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Final, NamedTuple, NoReturn

import click

from streams.core.errors import InputError, InvariantError

FAILED: Final = 1
INTERRUPTED: Final = 130


class Entry(NamedTuple):
    """Where a command is, as ``module:attribute``, and what it does in a few words."""

    where: str
    summary: str


class LazyGroup(click.Group):
    """Commands by name; the modules behind them are imported when one of them runs.

    An ``InputError`` ends with exit status 1 and one line on stderr, wrong usage with 2. Anything else is our fault:
    one line too, and the traceback with ``--debug``.
    """

    def __init__(self, *arguments: Any, entries: Mapping[str, Entry], **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.entries = entries
        _keep_lines(self)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click passes it
        """Return the names in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click passes it
        """Import the command of that name; ``None`` when there is none."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.where.partition(":")
        command: click.Command = getattr(_imported(module), attribute)
        for one in (command, *(command.commands.values() if isinstance(command, click.Group) else ())):
            _keep_lines(one)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """List the commands from the table: no module is imported for ``--help``."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and turn what it raises into one line and an exit status."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise click.exceptions.Exit(FAILED) from None
        except Exception as error:  # noqa: BLE001 - the last line of defence between a user and a traceback
            _end(ctx, error)


def _imported(module: str) -> ModuleType:
    """Import a module without the garbage collector: it would look again and again at what stays (5 % of a start)."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return import_module(module)
    finally:
        if collects:
            gc.enable()


def _first(error: BaseException) -> BaseException:
    """Return what went wrong first where several things ran at once."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _said(error: BaseException) -> str:
    match error:
        case InputError():
            return str(error)
        case InvariantError():
            return f"stopped before anything wrong is written: {error}"
    return f"unexpected {type(error).__name__}: {error}; run logmend --debug for the traceback"


def _one_line(text: str) -> str:
    """Return a text in one line, without the marker under a place that is on another line."""
    return " ".join(" ".join(line for line in text.splitlines() if line.strip(" ^")).split())


def _keep_lines(command: click.Command) -> None:
    r"""Turn ``\b`` of a raw docstring into the character that tells click not to wrap what follows."""
    command.help = (command.help or "").replace("\\b\n", "\b\n")


def _end(ctx: click.Context, error: BaseException) -> NoReturn:
    if ctx.params.get("debug"):
        traceback.print_exception(error, file=sys.stderr)
    click.echo(f"error: {_one_line(_said(_first(error)))}", err=True)
    raise click.exceptions.Exit(FAILED)
