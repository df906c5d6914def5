"""Kafka's topics: made, compared with what they should be, and accepted when they were made anew."""

from __future__ import annotations

import asyncio
import uuid

import click

from streams.cli.output import json_option, print_json, print_table
from streams.codec import encode
from streams.core.errors import InputError
from streams.core.events import LinesLost, Took
from streams.ports import Outgoing, TopicPartition
from streams.runtime.admin import Admin, TopicState, create_topics
from streams.runtime.kafka import KafkaLog
from streams.runtime.view import FactsView
from streams.settings import Settings


@click.group()
def topics() -> None:
    """Create and describe the fleet's topics; accept one that was made anew."""


@topics.command()
@json_option
def create(as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Make the topics that are missing; those that are there stay as they are.

    \b
    Example:
      LOGMEND_BROKERS=kafka-1:9092,kafka-2:9092 logmend topics create
    """
    made = asyncio.run(create_topics(Settings.load()))
    if as_json:
        print_json({"made": made})
    else:
        click.echo(f"made {', '.join(made)}" if made else "all topics were there")


@topics.command()
@json_option
def describe(as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""List the topics and what is wrong with them. Exit status 1 when something is.

    \b
    Example:
      logmend topics describe
    """
    states = asyncio.run(_states(Settings.load()))
    problems = [problem for state in states for problem in state.problems]
    if as_json:
        rows = [{"topic": s.wanted.name, "partitions": s.partitions, "problems": list(s.problems)} for s in states]
        print_json(rows)
    else:
        print_table(
            ("topic", "partitions", "purpose"),
            ((state.wanted.name, state.partitions or "missing", state.wanted.purpose) for state in states),
        )
        for problem in problems:
            click.echo(problem, err=True)
    if problems:
        raise click.exceptions.Exit(1)


async def _states(settings: Settings) -> list[TopicState]:
    async with Admin(settings) as admin:
        return await admin.describe()


@topics.command("accept-reset")
@click.argument("topic")
@json_option
def accept_reset(topic: str, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Say that a source topic was made anew on purpose: it is read from its start again.

    Without it, detect stops at a topic that ends before the position up to which it was read: records may be missing.
    Stop the detect processes first; it is recorded, and refused for a topic that did not shrink.

    \b
    Example:
      logmend topics accept-reset logs
    """
    settings = Settings.load()
    if topic not in settings.topics.sources:
        raise InputError(f"{topic} is no source: there are {', '.join(settings.topics.sources)}")
    moved = asyncio.run(accepted(settings, topic))
    if not moved:
        raise InputError(f"{topic} does not end before the positions up to which it was read: nothing to accept")
    if as_json:
        print_json([{"partition": p, "was": was, "is": now} for p, was, now in moved])
        return
    for partition, was, now in moved:
        click.echo(f"{topic}/{partition} is read from {now} again; it was read up to {was}")


async def accepted(settings: Settings, topic: str) -> list[tuple[int, int, int]]:
    """Record the resets of a source, none when it did not shrink; return (partition, position before, now) of each."""
    async with Admin(settings) as admin, KafkaLog(settings) as log:
        view = await FactsView.open(log, settings.topics)
        moved = []
        for where in await admin.partitions([topic]):
            was = view.directory.ledger.holding(*where).to_offset
            earliest, end = await log.bounds(where)
            if end < was:
                await log.append(_reset(settings, view, where, earliest))
                moved.append((where.partition, was, earliest))
        await view.refresh()
        for partition, _, now in moved:
            if view.directory.ledger.holding(topic, partition).to_offset != now:
                raise InputError(f"{topic}/{partition} was taken meanwhile: stop the detect processes and try again")
        return moved


def _reset(settings: Settings, view: FactsView, where: TopicPartition, earliest: int) -> list[Outgoing]:
    """Return what takes a partition and moves its position back: a loss whose end lies below its start."""
    holding = view.directory.ledger.holding(*where)
    term = holding.term + 1
    owner = f"accept-reset@{settings.host}"
    took = Took(source=where.topic, partition=where.partition, term=term, nonce=uuid.uuid4().hex, owner=owner)
    back = LinesLost(
        source=where.topic,
        partition=where.partition,
        term=term,
        from_offset=holding.to_offset,
        to_offset=earliest,
    )
    key = f"{where.topic}/{where.partition}".encode()
    return [Outgoing(settings.topics.facts, encode(fact), key) for fact in (took, back)]
