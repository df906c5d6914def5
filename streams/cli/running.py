"""``logmend demo``, ``lab`` and ``up``: everything at once, on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import click
from rich.console import Console

from lab import display
from lab.demo import run_demo, run_lab
from lab.faults import FAULTS
from lab.report import DemoReport, to_json
from streams.cli.output import json_option
from streams.settings import Settings

halted_option = click.option(
    "--halted", is_flag=True, help="With the kill switch on: all is decided and recorded, nothing acted on."
)


@click.command()
@halted_option
@json_option
def demo(halted: bool, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Show the whole of Logmend on this machine in under two minutes, with everything embedded.

    Real log lines of several systems are shipped through a real Kafka, six faults are injected into three real
    services, and Logmend heals them. It ends by itself with a summary. The event log stays, for sql, why, verify and
    replay; a second run adds to it.

    \b
    Example:
      logmend demo
      logmend demo --halted
      logmend demo --json
    """
    console = Console(stderr=True)
    _tell(run_demo(Settings.load(), display.of(console, silent=as_json), halted=halted), as_json=as_json)


@click.command()
@click.option(
    "--fault",
    "faults",
    multiple=True,
    type=click.Choice(["all", *FAULTS]),
    default=["all"],
    show_default=True,
    help="What to break; may be given several times.",
)
@halted_option
@json_option
def lab(faults: tuple[str, ...], halted: bool, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Break real services on purpose, and measure how they are detected, healed and verified.

    \b
    Example:
      logmend lab --fault crash --fault port_taken
    """
    names = tuple(FAULTS) if "all" in faults else faults
    console = Console(stderr=True)
    _tell(run_lab(Settings.load(), display.of(console, silent=as_json), names, halted=halted), as_json=as_json)


def _tell(run: Coroutine[Any, Any, DemoReport], *, as_json: bool) -> None:
    report = asyncio.run(run)
    if as_json:
        click.echo(to_json(report))
    else:
        display.summary(Console(), report)
    if not report.ok:
        raise click.exceptions.Exit(1)
