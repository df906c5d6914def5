"""``logmend shadow``: what a candidate policy would decide, beside what is decided."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from streams.core.config import Policy
    from streams.settings import Settings
    from streams.shadow.report import ShadowReport

NONE = "-"


@click.group(invoke_without_command=True)
@click.option("--policy", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The candidate.")
@click.pass_context
def shadow(context: click.Context, policy: Path | None) -> None:
    r"""Decide under a candidate policy on live facts, beside the log, and note where both differ.

    It reads the facts as decide does, from now on, and keeps what differs in a file of its own in the data directory
    (shadow/shadow.sqlite). It has no way to append to a topic, so nothing that the candidate decides is ever sent.
    The same candidate goes on where it was after a restart; another one begins a new run.

    \b
    Example:
      logmend shadow --policy candidate.toml
      logmend shadow report
    """
    if context.invoked_subcommand is not None:
        return
    if policy is None:
        raise click.UsageError("name the candidate with --policy FILE, or ask for what one came to: shadow report")
    from streams.cli.files import read  # noqa: PLC0415 - it loads what reading rules takes
    from streams.cli.process import run  # noqa: PLC0415
    from streams.core.config import Policy  # noqa: PLC0415

    candidate = read(policy)
    if not isinstance(candidate, Policy):
        raise click.UsageError(f"{policy} is not a policy; a candidate's rules are compared with logmend rules test")
    run("shadow", "", partial(_shadow, candidate))


async def _shadow(candidate: Policy, settings: Settings, _instance: str, stop: asyncio.Event) -> None:
    from streams.catalogue import strategies  # noqa: PLC0415 - the report needs none of it
    from streams.cli.files import applied  # noqa: PLC0415
    from streams.runtime.kafka import KafkaLog  # noqa: PLC0415
    from streams.runtime.readiness import ready  # noqa: PLC0415
    from streams.runtime.snapshots import TopicSnapshots  # noqa: PLC0415
    from streams.runtime.watching import reading  # noqa: PLC0415
    from streams.shadow.journal import Journal, explained, shadow_dir  # noqa: PLC0415
    from streams.shadow.watch import Watch  # noqa: PLC0415

    topics = settings.topics
    directory = shadow_dir(settings.data_dir)
    with explained(directory), contextlib.closing(Journal.open(directory)) as journal:
        async with KafkaLog(settings) as log:
            snapshots = TopicSnapshots(log, topics.snapshots).newest
            with reading("shadow", log) as watched:
                watch = Watch(watched, topics, snapshots, applied(candidate, "shadow"), strategies(), journal)
                await watch.run(stop, lambda: ready(settings.data_dir))


@shadow.command()
@click.option("--run", type=click.IntRange(1), help="The number of a run.  [default: the newest]")
@json_option
def report(run: int | None, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Tell how far a candidate differs: by kind, as a share, and where it parted first on each incident.

    \b
    Example:
      logmend shadow report
      logmend shadow report --run 2 --json
    """
    import msgspec  # noqa: PLC0415 - not needed for --help

    from streams.settings import Settings  # noqa: PLC0415
    from streams.shadow.journal import shadow_dir  # noqa: PLC0415
    from streams.shadow.report import report as report_of  # noqa: PLC0415

    found = report_of(shadow_dir(Settings.load().data_dir), run)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _tell(found)


def _tell(found: ShadowReport) -> None:
    click.echo(
        f"run {found.run}: policy {found.policy_sha256[:12]} beside {found.fleet}, "
        f"{_when(found.from_ms)} to {_when(found.to_ms)}"
    )
    missed = f", {found.missed} more could not be compared" if found.missed else ""
    failed = f", the candidate failed on {found.failures}" if found.failures else ""
    click.echo(f"{found.facts} facts{missed}{failed}; {found.decisions} decisions, {found.differing} of them differ")
    click.echo(
        f"share that differs: {_share(found.share)} of all, {_share(found.share_of_acts)} of what is done; "
        f"incidents: {found.incidents_parted} parted, {found.incidents_opened} opened; "
        f"differences said again: {found.repeats}"
    )
    rows = [(one.kind, one.same, one.details, one.instead, one.dropped, one.added) for one in found.kinds]
    print_table(("kind", "same", "details", "instead", "dropped", "added"), rows)
    if found.firsts:
        click.echo("\nfirst difference of each incident, newest first")
    print_table(
        ("time", "incident", "service", "pattern", "log", "candidate"),
        [
            (
                _when(one.at_ms),
                one.incident,
                one.service,
                one.pattern,
                _said(one.kind, one.action, one.reason),
                _said(one.candidate_kind, one.candidate_action, one.candidate_reason),
            )
            for one in found.firsts
        ],
    )


def _said(kind: str, action: str, reason: str) -> str:
    return f"{kind} {action or reason}".strip() or NONE


def _share(share: float | None) -> str:
    return NONE if share is None else f"{share:.2%}"


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S") if at_ms else NONE
