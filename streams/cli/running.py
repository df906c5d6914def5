"""``logmend demo``, ``lab`` and ``up``: everything at once, on this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import click
from aiokafka.errors import KafkaError
from rich.console import Console

from lab import display, score
from lab.campaign import run_lab
from lab.demo import run_demo
from lab.faults import FAULTS
from lab.report import DemoReport, to_json
from lab.scenarios import SCENARIOS
from lab.scenarios.frame import show
from lab.score import Mode
from streams import telemetry
from streams.cli.comparing import compare
from streams.cli.output import json_option
from streams.core.errors import InputError
from streams.notify.channels import is_configured
from streams.runtime.address import advise_address_file, web_address_file
from streams.runtime.supervisor import ROLES
from streams.runtime.supervisor import run as supervise
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
    show_default="all",
    help="What to break; may be given several times.",
)
@click.option("--scenario", type=click.Choice(tuple(SCENARIOS)), help="A course of events instead, with its claims.")
@click.option("--runs", type=click.IntRange(1, 100), default=1, show_default=True, help="How often each fault comes.")
@click.option("--control", "mode", flag_value="control", help="Without Logmend: nothing may heal.")
@click.option(
    "--halted", "mode", flag_value="halted", help="With the kill switch on: all is decided and recorded, nothing done."
)
@json_option
def lab(faults: tuple[str, ...], scenario: str | None, runs: int, mode: Mode | None, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Break real services on purpose, and measure how they are detected, healed and verified.

    There is a fault for each pattern of the catalogue. Those of different services run side by side.

    \b
    Example:
      logmend lab --fault crash --fault port_taken
      logmend lab --runs 9 --json
      logmend lab --control
      logmend lab --scenario flapping
    """
    if scenario is not None:
        if faults or mode or runs > 1:
            raise click.UsageError("a scenario takes neither --fault nor --runs, --control or --halted")
        _play(scenario, as_json=as_json)
        return
    names = tuple(FAULTS) if "all" in faults or not faults else faults
    told = display.of(Console(stderr=True), silent=as_json)
    report = asyncio.run(run_lab(Settings.load(), told, names, mode=mode or "healing", runs=runs))
    if as_json:
        click.echo(score.to_json(report))
    else:
        display.measurement(Console(), report)
    if not report.ok:
        raise click.exceptions.Exit(1)


def _play(scenario: str, *, as_json: bool) -> None:
    """Run a scenario and print what it came to; exit 1 unless all its claims hold."""
    told = display.of(Console(stderr=True), silent=as_json)
    report = asyncio.run(SCENARIOS[scenario](Settings.load(), told))
    if as_json:
        click.echo(report.as_json())
    else:
        show(Console(), report)
    if not report.ok:
        raise click.exceptions.Exit(1)


@click.command()
@click.option("--detect", type=click.IntRange(1, 16), default=1, show_default=True, help="How many detect processes.")
@click.option("--decide", type=click.IntRange(1, 2), default=1, show_default=True, help="2: with a standby.")
def up(detect: int, decide: int) -> None:
    r"""Run every process on this machine until Ctrl-C; what dies is started again.

    Without LOGMEND_BROKERS a Kafka of Logmend's own is started first. Another shell can ship, query and apply
    meanwhile; pages and API are at http://127.0.0.1:8000, or where it says. With LOGMEND_METRICS_PORT=9100, up serves
    its metrics there, and the processes on the ports after it. A file named by LOGMEND_POLICY, LOGMEND_RULES or
    LOGMEND_SERVICES is compared with what is in force.

    \b
    Example:
      logmend up
      LOGMEND_BROKERS=kafka:9092 LOGMEND_DRY_RUN=false logmend up --detect 2 --decide 2
    """
    settings = Settings.load()
    telemetry.configure_logging()
    telemetry.serve(settings.metrics_port, settings.metrics_address, settings.data_dir)
    others = [role for role in ROLES if role not in ("detect", "decide")]
    roles = ["detect"] * detect + ["decide"] * decide + others + ["web", "advise"]
    roles += ["notify"] if is_configured(settings) else []
    actions = "are only logged (LOGMEND_DRY_RUN)" if settings.dry_run else "are carried out"
    say(f"data in {settings.data_dir}; actions {actions}; Ctrl-C ends")
    asyncio.run(supervise(settings, say, roles, _say_more))


def say(text: str) -> None:
    """Tell a person at the terminal what is being done."""
    click.echo(f"logmend: {text}", err=True)


async def _say_more(settings: Settings) -> None:
    """Say where web and decision service are, and what local files are not in force."""
    for what, file in (("web", web_address_file), ("decision service", advise_address_file)):
        with contextlib.suppress(FileNotFoundError):  # it has just ended, and is started again
            say(f"{what} at {file(settings.data_dir).read_text()}")
    await _say_what_differs(settings)


async def _say_what_differs(settings: Settings) -> None:
    """Warn of local files that are not in force; a broker that is gone again is the supervisor's business."""
    try:
        for line in await compare(settings):
            say(line)
    except (InputError, KafkaError) as error:
        telemetry.handled("compare", str(error))


def _tell(run: Coroutine[Any, Any, DemoReport], *, as_json: bool) -> None:
    report = asyncio.run(run)
    if as_json:
        click.echo(to_json(report))
    else:
        display.summary(Console(), report)
    if not report.ok:
        raise click.exceptions.Exit(1)
