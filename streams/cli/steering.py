"""What people say to Logmend: configuration and the kill switch, as events in the inbox for people."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from streams.cli import files
from streams.cli.output import json_option, print_json, printable
from streams.core.config import Config
from streams.core.directory import Directory
from streams.core.errors import InputError
from streams.core.events import ActionHalted, ActionResumed, InboxEvent
from streams.ingest.people import Said, append
from streams.ingest.redact import Redactor
from streams.runtime.kafka import KafkaLog
from streams.runtime.redaction_key import redaction_key
from streams.runtime.view import FactsView
from streams.settings import Settings

WAIT_S: Final = 15.0
LOOK_S: Final = 0.1
FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
TEXT_CHARACTERS_MAX: Final = 500
"""Half of what detect takes from an inbox."""


def _short(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    """Refuse what detect would reject: a kill switch must not fail for a long reason."""
    if len(text) > TEXT_CHARACTERS_MAX:
        raise click.BadParameter(f"{len(text)} characters; give at most {TEXT_CHARACTERS_MAX}")
    return text


author_option = click.option(
    "--author", default="", callback=_short, help="Who says so.  [default: this user at this host]"
)
reason_option = click.option("--reason", default="", callback=_short, help="Why; it is recorded.")


def directory_now(settings: Settings) -> Directory:
    """Return what is in force in the fleet: configuration, inventory, kill switch."""

    async def look() -> Directory:
        async with KafkaLog(settings) as log:
            return (await FactsView.open(log, settings.topics)).directory

    return asyncio.run(look())


def say(settings: Settings, event: InboxEvent, heard: Callable[[Directory], bool]) -> None:
    """Send an event of a person and wait until it is recorded; ``InputError`` when nobody takes it in."""
    asyncio.run(_said(settings, event, heard))


async def _said(settings: Settings, event: InboxEvent, heard: Callable[[Directory], bool]) -> None:
    async with KafkaLog(settings) as log:
        view = await FactsView.open(log, settings.topics)
        await append(log, settings.topics, [Said(event)], Redactor(redaction_key(settings)))
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while not heard(view.directory):
            if asyncio.get_running_loop().time() > deadline:
                raise InputError(
                    f"sent, but not recorded within {WAIT_S:.0f} s: is `logmend up` (or `logmend detect`) running?"
                )
            await asyncio.sleep(LOOK_S)
            await view.refresh()


def named(author: str, settings: Settings) -> str:
    """Return the author as given, or this user at this host."""
    return author or f"{getpass.getuser()}@{settings.host}"


@click.command()
@click.argument("file", type=FILE)
@author_option
@json_option
def apply(file: Path, author: str, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Put a policy, rules or an inventory (a TOML file) in force, on record.

    What the file is, is told by what is in it: [[services]] is an inventory, [[rules]] are patterns, anything else is
    a policy. It returns when the change is recorded.

    \b
    Example:
      logmend apply policy.toml
      logmend apply services.toml --author "Ada, change 4711"
    """
    settings = Settings.load()
    value = files.read_checked(file)
    event = files.applied(value, named(author, settings))
    changes = _changes(settings, value)
    if changes:
        say(settings, event, lambda directory: directory.sha256_of(event.kind) == event.sha256)
    if as_json:
        figures = {"kind": event.kind, "sha256": event.sha256, "changes": len(changes), "author": event.author}
        print_json(figures | _by_change(changes))
    elif changes:
        said = [f"{change}: {', '.join(names)}" for change, names in _by_change(changes).items() if names]
        click.echo(f"{event.kind} {event.sha256[:12]} is in force; {'; '.join(said)}")
    else:
        click.echo(f"{event.kind} {event.sha256[:12]} was in force already")


@click.command()
@click.argument("file", type=FILE)
@json_option
def diff(file: Path, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Show what `logmend apply FILE` would change, and change nothing.

    \b
    Example:
      logmend diff policy.toml
    """
    settings = Settings.load()
    changes = _changes(settings, files.read_checked(file))
    if as_json:
        rows = [
            {"what": what, "change": _change(before, after), "before": before, "after": after}
            for what, before, after in changes
        ]
        print_json(rows)
        return
    for what, before, after in changes:
        shown = [_shown(value) for value in (before, after) if value is not None]
        click.echo(f"{_change(before, after)} {what}: {' -> '.join(shown)}")
    if not changes:
        click.echo("no change")


def _changes(settings: Settings, value: Config) -> list[tuple[str, Any, Any]]:
    kind = files.kind_of(value)
    before: Config = getattr(directory_now(settings), kind)
    return files.differences(before, value)


def _change(before: Any, after: Any) -> str:
    if before is None:
        return "added"
    return "removed" if after is None else "changed"


def _by_change(changes: list[tuple[str, Any, Any]]) -> dict[str, list[str]]:
    """Return the names of what was added, changed and removed."""
    names: dict[str, list[str]] = {"added": [], "changed": [], "removed": []}
    for what, before, after in changes:
        names[_change(before, after)].append(what)
    return names


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@click.command()
@reason_option
@author_option
def halt(reason: str, author: str) -> None:
    r"""Throw the kill switch: everything is detected, decided and recorded, nothing is acted on.

    \b
    Example:
      logmend halt --reason "change freeze"
    """
    settings = Settings.load()
    if by := directory_now(settings).halted_by:
        click.echo(f"the kill switch was on already, by {printable(by)}: nothing is acted on until logmend resume")
        return
    event = ActionHalted(author=named(author, settings), reason=reason)
    say(settings, event, lambda directory: bool(directory.halted_by))
    click.echo("halted: nothing is acted on until logmend resume")


@click.command()
@reason_option
@author_option
def resume(reason: str, author: str) -> None:
    r"""Release the kill switch; also after Logmend stopped all action by itself, because a fact could not be taken.

    Whether anything is acted on then, is up to the modes of the services, the policy and LOGMEND_DRY_RUN.

    \b
    Example:
      logmend resume --reason "freeze is over"
    """
    settings = Settings.load()
    event = ActionResumed(author=named(author, settings), reason=reason)
    say(settings, event, lambda directory: not directory.halted_by)
    click.echo("resumed: the kill switch is off")
