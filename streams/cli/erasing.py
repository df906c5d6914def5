"""Text that is to be gone: erased from the event log and from Kafka, on record."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

import click

from analytics import erasure
from analytics.erasure import Request
from analytics.files import DiskFiles
from analytics.manifest import Erasure, load
from analytics.store import is_written
from analytics.writer import EventLogWriter
from streams.cli.home import log_directory
from streams.cli.lifecycle import reachable
from streams.cli.output import json_option, print_json
from streams.cli.steering import author_option, named, reason_option
from streams.cli.times import moment_ms
from streams.core.errors import InputError
from streams.ports import TopicPartition
from streams.runtime.admin import Admin
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings

WAIT_S: Final = 60.0
LOOK_S: Final = 0.2
REMAINS: Final = (
    "what still holds text: the producers' own topics, backups and published files, and reasons that people gave"
)


def _time(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int:
    """Return a time as milliseconds since 1970; now when none is given. An empty one is no time: all would be gone."""
    if text is None:
        return time.time_ns() // 1_000_000
    try:
        return moment_ms(text)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{text!r}: give a time such as 2026-11-01 or 2026-11-01T12:00:00+01:00") from error


@click.command()
@click.option("--service", default="", help="Of which service; --all for all.")
@click.option("--all", "every", is_flag=True, help="Of all services.")
@click.option("--before", "before_ms", callback=_time, help="Recorded before this time (UTC).  [default: now]")
@click.option("--dead-letters", is_flag=True, help="All dead letters recorded before that time, too.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@reason_option
@author_option
@json_option
def erase(
    service: str,
    every: bool,  # noqa: FBT001 - click passes it
    before_ms: int,
    dead_letters: bool,  # noqa: FBT001 - click passes it
    yes: bool,  # noqa: FBT001 - click passes it
    reason: str,
    author: str,
    as_json: bool,  # noqa: FBT001 - click passes it
) -> None:
    r"""Erase the text of a service's lines for good: from the event log's files and from Kafka's topic of evidence.

    Its notes, tasks and advisors' rationales go with it. Numbers, hash chain, verify and replay stay whole; who erased
    what, when and why stays on record, and `logmend why` says so in place of the text. It may be done while everything
    runs. A dead letter names no service, so dead letters go all together.

    \b
    Example:
      logmend erase --service shop --reason "ticket 4711"
      logmend erase --all --before 2026-11-01 --dead-letters --yes
    """
    if every == bool(service):
        raise click.UsageError("give either --service NAME or --all")
    if not yes:
        click.confirm(f"Erase the text of {service or 'all services'} for good?", abort=True, err=True)
    settings = Settings.load()
    request = Request(
        id=erasure.new_id(),
        service=service,
        before_ms=before_ms,
        asked_ms=time.time_ns() // 1_000_000,
        author=named(author, settings),
        reason=reason,
    )
    done, letters = asyncio.run(_erased(settings, request, dead_letters=dead_letters))
    if as_json:
        print_json({"texts": done.texts, "dead_letters": letters, "service": service, "before_ms": before_ms})
        return
    click.echo(f"erased {done.texts} texts{f' and {letters} dead letters' if dead_letters else ''}")
    click.echo(REMAINS)


async def _erased(settings: Settings, request: Request, *, dead_letters: bool) -> tuple[Erasure, int]:
    """Have the text erased from the files, then from Kafka; return what was done, and how many dead letters went."""
    directory = log_directory(settings)
    if not load(directory).version:
        raise InputError(f"there is no event log in {directory}")
    async with reachable(settings) as reached, KafkaLog(reached) as log, Admin(reached) as admin:
        erasure.ask(directory, DiskFiles(), request)
        done = await _carried_out(reached, log, directory, request)
        evidence = TopicPartition(reached.topics.evidence, 0)
        await admin.delete_records({evidence: load(directory).stream("evidence").position})
        letters = 0
        if dead_letters:
            dlq = TopicPartition(reached.topics.dlq, 0)
            earliest, _ = await log.bounds(dlq)
            before = await log.offset_at(dlq, request.before_ms)
            await admin.delete_records({dlq: before})
            letters = before - earliest
        return done, letters


async def _carried_out(settings: Settings, log: KafkaLog, directory: Path, request: Request) -> Erasure:
    """Return what came of a request: the writer that runs does it, or else one of ours."""
    deadline = asyncio.get_running_loop().time() + WAIT_S
    while (done := erasure.state_of(directory, load(directory), request.id)) is None:
        if not is_written(directory):
            with EventLogWriter(log, settings.topics, directory, evidence_days=settings.evidence_days) as writer:
                while erasure.state_of(directory, load(directory), request.id) is None:
                    await writer.step()
        elif asyncio.get_running_loop().time() > deadline:
            raise InputError(
                f"asked for, but not done within {WAIT_S:.0f} s: logmend eventlog goes on with it, or says in its log "
                "why not; Kafka's copy is still there, so run this again when it is done"
            )
        else:
            await asyncio.sleep(LOOK_S)
    return done
