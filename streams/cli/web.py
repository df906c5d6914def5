"""``logmend web`` and ``logmend token``: the operators' screen and API, and who may use them."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import click

from streams.cli.home import make_home
from streams.cli.output import json_option, print_json, print_table
from streams.cli.process import instance_option, run
from streams.settings import Settings
from streams.web.serving import serve
from streams.web.tokens import ROLES, Token, TokenFile


@click.command()
@instance_option
def web(instance: str) -> None:
    r"""Serve the operators' pages and the HTTP API, on http://127.0.0.1:8000 unless the settings say otherwise.

    Without any token, whoever is on this machine may use it. With tokens (see logmend token), everybody needs one, and
    it may be served to others: LOGMEND_WEB_HOST=0.0.0.0, behind a proxy that speaks TLS. Make one before you put a
    proxy on this machine before it.

    \b
    Example:
      logmend web
      LOGMEND_WEB_HOST=0.0.0.0 LOGMEND_WEB_NAMES=logmend.example.org logmend web
    """
    run("web", instance, _web)


async def _web(settings: Settings, _instance: str, stop: asyncio.Event) -> None:
    await serve(settings, stop)


@click.group()
def token() -> None:
    """Who may use the web, and for what: make tokens, list them, revoke them."""


@token.command()
@click.option("--role", type=click.Choice(ROLES), required=True, help="Each may do what those before it may.")
@click.option("--name", required=True, help="Whose it is; it is recorded with all that is done with it.")
@json_option
def create(role: str, name: str, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Make a token and print it, once: only a hash of it is kept.

    A viewer reads; an operator also answers escalations, mutes, heals, gives tasks and halts; an approver also lets
    risky actions go and releases the kill switch.

    \b
    Example:
      logmend token create --role operator --name ada
    """
    settings = Settings.load()
    make_home(settings)
    given = TokenFile(settings.data_dir).create(role, name, _now_ms())
    if as_json:
        print_json({"token": given, "name": name, "role": role})
        return
    click.echo(given)
    click.echo(f"{name} is {role}; keep it: it is not shown again", err=True)


@token.command("list")
@json_option
def list_(as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""List the tokens, never themselves.

    \b
    Example:
      logmend token list
    """
    known = TokenFile(Settings.load().data_dir).all()
    rows = [(one.name, one.role, one.id, _shown(one.created_ms), _state(one)) for one in known]
    if as_json:
        print_json([dict(zip(("name", "role", "id", "created", "state"), row, strict=True)) for row in rows])
    elif rows:
        print_table(("name", "role", "id", "created (UTC)", "state"), rows)
    else:
        click.echo("no tokens: on this machine the web may be used without one")


@token.command()
@click.argument("name")
def revoke(name: str) -> None:
    r"""End the token of a name, at once and for ever.

    \b
    Example:
      logmend token revoke ada
    """
    ended = TokenFile(Settings.load().data_dir).revoke(name, _now_ms())
    click.echo(f"the token of {ended.name} ({ended.role}) is of no use any more")


def _now_ms() -> int:
    return int(time.time() * 1000)


def _shown(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(" ", "seconds").removesuffix("+00:00")


def _state(one: Token) -> str:
    return f"revoked {_shown(one.revoked_ms)}" if one.revoked_ms else "good"
