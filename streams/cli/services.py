"""The inventory: what is in it, and a draft of it from what has been seen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

import click
import msgspec
import psutil

from analytics.views import EventLog
from streams.cli.output import json_option, print_json, print_table
from streams.cli.steering import directory_now
from streams.core.config import zone_source
from streams.core.inventory import ServiceSpec
from streams.settings import Settings

SEEN: Final = """
SELECT service, sum(lines) AS lines FROM tallies WHERE service <> '' GROUP BY service ORDER BY lines DESC, service
"""
HEADER: Final = """\
# Drafted by `logmend services discover`. Check it, complete it, then: logmend apply services.toml
# mode: observe (decide only), approve (a person agrees first), auto (act). What is not listed is only observed.
"""


@click.group()
def services() -> None:
    """List the inventory, or draft one from what has been seen."""


@services.command("list")
@json_option
def list_(as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""List the services that Logmend may act on.

    \b
    Example:
      logmend services list
    """
    known = directory_now(Settings.load()).inventory.services
    if as_json:
        print_json(msgspec.to_builtins(known))
    elif known:
        rows = ((s.name, s.host, s.type, s.mode, s.owner, ", ".join(s.depends_on), len(s.probes)) for s in known)
        print_table(("service", "host", "type", "mode", "owner", "depends on", "probes"), rows)
    else:
        click.echo("no inventory is in force: draft one with logmend services discover > services.toml")


@services.command()
@json_option
def zones(as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""List the time zones in which stamps are read that name none; everything else is in UTC.

    They stand in the inventory file, one table for a service, a host or a topic (web-* for all that begin so):

    \b
      [[zones]]
      host = "berlin-*"
      zone = "Europe/Berlin"

    \b
    Example:
      logmend services zones
    """
    known = directory_now(Settings.load()).inventory.zones
    if as_json:
        print_json(msgspec.to_builtins(known))
    elif known:
        print_table(("source", "zone"), ((zone_source(spec), spec.zone) for spec in known))
    else:
        click.echo("no zone is configured: stamps without one are read in UTC")


@services.command()
def discover() -> None:
    r"""Draft an inventory: services whose lines were read and that are not in the inventory, in mode observe.

    Where a process of this host has the service's name, its command line, directory and port are filled in.

    \b
    Example:
      logmend services discover > services.toml
    """
    settings = Settings.load()
    known = {service.name for service in directory_now(settings).inventory.services}
    with EventLog(settings.data_dir / "log") as log:
        seen = [(str(name), int(lines)) for name, lines in log.query(SEEN).iter_rows()]
    processes = list(_processes())
    click.echo(HEADER)
    for name, lines in seen:
        if name not in known:
            click.echo(_drafted(_guess(name, settings.host, processes), lines))


def _processes() -> Iterator[psutil.Process]:
    """Yield the processes that this user may look at."""
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["cmdline"]:
            yield process


def _guess(name: str, host: str, processes: Iterable[psutil.Process]) -> ServiceSpec:
    """Return an entry of mode observe, with what a process of that name shows."""
    for process in processes:
        if process.info["name"] == name:
            try:
                cwd = process.cwd()
                ports = sorted(c.laddr.port for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN)
            except psutil.Error:
                continue
            argv = tuple(process.info["cmdline"])
            return ServiceSpec(name=name, host=host, argv=argv, cwd=cwd, port=ports[0] if ports else 0)
    return ServiceSpec(name=name, host=host)


def _drafted(service: ServiceSpec, lines: int) -> str:
    """Return a service as TOML."""
    fields: dict[str, object] = {"name": service.name, "host": service.host, "type": service.type, "mode": service.mode}
    if service.argv:
        fields |= {"argv": list(service.argv), "cwd": service.cwd, "port": service.port, "pid_file": ""}
    body = "\n".join(f"{key} = {_toml(value)}" for key, value in fields.items())
    return f"[[services]]  # {lines} lines seen\n{body}\n"


def _toml(value: object) -> str:
    """Return a string, a number or an array as TOML: as JSON, but that DEL is escaped and nothing beyond ASCII."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
