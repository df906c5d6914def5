"""Whether the event log is whole, whether it can be recomputed, and why something happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import click
import msgspec

from analytics.replay import Difference, ReplayReport
from analytics.replay import replay as replay_log
from analytics.verify import Report
from analytics.verify import verify as verify_log
from analytics.views import EventLog
from analytics.why import why as explain
from analytics.why_text import render
from streams.catalogue import strategies
from streams.cli.home import log_directory
from streams.cli.output import json_option, print_json, printable
from streams.core.errors import InputError
from streams.core.fold import Fold
from streams.runtime.address import bootstrap
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings


@click.command()
@click.option("--offline", is_flag=True, help="Look at the files only; don't compare with what Kafka holds.")
@json_option
def verify(offline: bool, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Prove that nothing in the event log is missing or changed: every file's hash, every number, the hash chain.

    Exit status 1 when something is found; each finding names its file. While Kafka runs, its end is compared too.

    \b
    Example:
      logmend verify
      logmend verify --offline --json
    """
    report = asyncio.run(_verified(Settings.load(), offline=offline))
    _tell_verified(report, as_json=as_json)
    if not report.ok:
        raise click.exceptions.Exit(1)


async def _verified(settings: Settings, *, offline: bool) -> Report:
    directory = log_directory(settings)
    if offline or not _has_broker(settings):
        return await verify_log(directory)
    async with KafkaLog(settings) as log:
        return await verify_log(directory, log, now_ms=int(time.time() * 1000))


def _has_broker(settings: Settings) -> bool:
    try:
        bootstrap(settings)
    except InputError:
        return False
    return True


def _tell_verified(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": report.ok, **msgspec.to_builtins(report)})
        return
    for finding in report.findings:
        click.echo(f"{finding.file or 'log'}: {finding.message}", err=True)
    looked_at = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    click.echo(f"{'clean' if report.ok else f'{len(report.findings)} findings'}: {looked_at or 'nothing to look at'}")


@click.command()
@click.option("--verify", "verify_first", is_flag=True, help="First check the files, as logmend verify --offline does.")
@json_option
def replay(verify_first: bool, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Recompute every decision from its recorded inputs and compare the bytes.

    Exit status 1 when a decision differs; what was recorded and what was computed is shown, field by field.

    \b
    Example:
      logmend replay
      logmend replay --verify --json
    """
    directory = log_directory(Settings.load())
    checked = asyncio.run(verify_log(directory)) if verify_first else None
    if checked is not None and not checked.ok:
        _tell_verified(checked, as_json=as_json)
        raise click.exceptions.Exit(1)
    report = replay_log(directory, lambda: Fold.new(strategies()))
    if as_json:
        print_json({"ok": report.ok, **msgspec.to_builtins(report)})
    else:
        _tell_replayed(report)
    if not report.ok:
        raise click.exceptions.Exit(1)


def _tell_replayed(report: ReplayReport) -> None:
    for difference in report.differences:
        click.echo(_line_of(difference), err=True)
    if report.problem:
        click.echo(f"stopped {report.problem}", err=True)
    for one in report.earlier:
        click.echo(
            f"{one.decisions} decisions of epoch {one.epoch} were not recomputed: replay them with {one.release}"
        )
    found = "identical" if report.ok else f"{report.differing} differ ({report.chained} more only in their chain)"
    tail = f"; {report.tail} newer ones are not archived yet" if report.tail else ""
    click.echo(f"{found}: {report.decisions} decisions recomputed from {report.facts} facts{tail}")


@click.command()
@click.argument("id_", metavar="ID")
@json_option
def why(id_: str, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Explain a command, a decision or an incident: back to the very lines, options, scores, gates and versions.

    \b
    Example:
      logmend sql "select id, service, action from commands"
      logmend why 1-4711-0
    """
    if not id_.strip():
        raise click.UsageError(
            'give an id, such as 1-4711-0: see logmend sql "select id, service, action from commands"'
        )
    with EventLog(log_directory(Settings.load())) as log:
        explanation = explain(log, id_)
    if as_json:
        click.echo(explanation.to_json())
    else:
        click.echo("\n".join(map(printable, render(explanation).splitlines())))


def _line_of(difference: Difference) -> str:
    fields: Sequence[str] = [f"{f.name} is {f.recorded}, computed {f.computed}" for f in difference.fields]
    return f"decision {difference.id} (fact {difference.facts_offset}): {'; '.join(fields)}"
