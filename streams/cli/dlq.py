"""``logmend dlq``: what no decoder took, why, and back to its source once the cause is gone."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click
import msgspec

from streams.cli.output import json_option, print_json, print_table
from streams.cli.times import since_option
from streams.ingest.letters import ARE_IN_DOUBT, Chosen, Listing, Which, choose, listed
from streams.ingest.redact import Redactor
from streams.runtime.admin import Admin
from streams.runtime.dead_letters import Replay
from streams.runtime.kafka import KafkaLog
from streams.runtime.redaction_key import redaction_key
from streams.settings import Settings

LIMIT: Final = 20
F = TypeVar("F", bound=Callable[..., Any])


def _which(command: F) -> F:
    for option in (
        since_option,
        click.option("--topic", default="", help="Only records of this source topic."),
        click.option("--reason", default="", help="Only reasons with this text in them."),
    ):
        command = option(command)
    return command


@click.group()
def dlq() -> None:
    """Dead letters, the records that no decoder took: list them, put them back."""


@dlq.command("list")
@_which
@click.option("--limit", default=LIMIT, type=click.IntRange(1, 10_000), show_default=True, help="So many, the newest.")
@click.option("--counts", is_flag=True, help="Only how many there are by reason, and what to do about them.")
@json_option
def list_(limit: int, counts: bool, as_json: bool, **which: Any) -> None:  # noqa: FBT001 - click passes them
    r"""Show dead letters, the newest last, and count all of them by reason. Secrets in them are not shown.

    \b
    Example:
      logmend dlq list --counts
      logmend dlq list --reason "no registry" --since 2h
    """
    listing = asyncio.run(_listed(Settings.load(), Which(**which), 0 if counts else limit))
    if as_json:
        print_json(msgspec.to_builtins(listing))
    else:
        _tell_listed(listing)


async def _listed(settings: Settings, which: Which, limit: int) -> Listing:
    async with KafkaLog(settings) as log:
        return await listed(log, settings.topics, which, limit, Redactor(redaction_key(settings)))


def _tell_listed(listing: Listing) -> None:
    if not listing.counts:
        click.echo("no dead letters")
        return
    if listing.letters:
        rows = (
            (r.offset, r.at, r.place, r.size_bytes, _state(r.state, r.replay_of), r.reason, r.preview)
            for r in listing.letters
        )
        print_table(("letter", "time (UTC)", "from", "bytes", "state", "reason", "begins"), rows)
        click.echo()
    print_table(
        ("letters", "not replayed", "reason", "what to do"),
        ((each.letters, each.not_replayed, each.reason, each.remedy) for each in listing.counts),
    )


def _state(state: str, replay_of: int | None) -> str:
    return state if replay_of is None else f"{state} (was {replay_of})"


@dlq.command()
@_which
@click.option("--offset", "offsets", type=click.IntRange(0), multiple=True, help="Only this letter; may be repeated.")
@click.option("--again", is_flag=True, help="Also those in doubt; some may then be on their topic twice.")
@click.option("--dry-run", is_flag=True, help="Say what would be put back, and do nothing.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
def replay(offsets: tuple[int, ...], reason: str, topic: str, since_ms: int, **flags: bool) -> None:
    r"""Put dead letters back on their source topics as they were, to be read again, once their cause is gone.

    None is put back twice. When a replay dies between its two notes in the topic, the letters it was at are in doubt:
    they are left out, with exit status 1, until --again says that twice is better than never.

    \b
    Example:
      logmend dlq replay --reason "no registry"
      logmend dlq replay --offset 17 --dry-run
    """
    which = Which(reason=reason, topic=topic, since_ms=since_ms, offsets=frozenset(offsets))
    chosen, back = asyncio.run(_replayed(Settings.load(), which, **flags))
    if flags["as_json"]:
        chosen_now = {name: len(offsets) for name, offsets in chosen.back.items()}
        print_json({"chosen": chosen_now, "put_back": back, "left_out": chosen.left_out})
    else:
        _tell_replayed(chosen, back, dry_run=flags["dry_run"])
    if ARE_IN_DOUBT in chosen.left_out:
        raise click.exceptions.Exit(1)


async def _replayed(
    settings: Settings, which: Which, *, again: bool, dry_run: bool, yes: bool, as_json: bool
) -> tuple[Chosen, Mapping[str, int]]:
    """Choose, ask, put back; return what was chosen and how many were put back by topic."""
    topics = settings.topics
    back: Counter[str] = Counter()
    async with KafkaLog(settings) as log, Admin(settings) as admin:
        partitions = Counter(where.topic for where in await admin.partitions([*topics.logs, *topics.metrics]))
        chosen = await choose(log, topics, which, again=again)
        if dry_run or not chosen.back:
            return chosen, back
        if not yes:
            click.confirm(f"put back {_by_topic(chosen)}?", abort=True, err=True)
        by = uuid.uuid4().hex
        async for step in Replay(log, topics, partitions, by, chosen.marks).run(chosen.offsets):
            back.update(step)
            if not as_json:
                click.echo(f"put back {', '.join(f'{count} to {topic}' for topic, count in step.items())}")
    return chosen, back


def _by_topic(chosen: Chosen) -> str:
    return ", ".join(f"{len(offsets)} to {topic}" for topic, offsets in chosen.back.items())


def _tell_replayed(chosen: Chosen, back: Mapping[str, int], *, dry_run: bool) -> None:
    if dry_run and chosen.back:
        click.echo(f"would put back {_by_topic(chosen)}")
    elif not chosen.back:
        click.echo("nothing to put back")
    else:
        click.echo(f"{sum(back.values())} dead letters were put back and will be read again")
    for why, count in chosen.left_out.items():
        click.echo(f"{count} {why}", err=True)
