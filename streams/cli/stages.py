"""``logmend detect``, ``decide`` and ``dispatch``: the three engines, each under Faust in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

import click

from streams.agents.decide import DecideEngine, Keeping
from streams.agents.detect import DetectEngine, Lookup, Watch
from streams.agents.dispatch import DispatchEngine
from streams.agents.wary import Notes, WarySlicer
from streams.catalogue import strategies
from streams.cli.process import instance_option, run
from streams.core.fold import Fold
from streams.ingest import matcher
from streams.ingest.confluent import Book
from streams.ingest.redact import Redactor
from streams.ingest.shedding import Pressure
from streams.ingest.slicer import Slicer
from streams.ports import Engine, Log
from streams.runtime.app import build_app
from streams.runtime.host import run_faust
from streams.runtime.kafka import KafkaLog
from streams.runtime.overlapping import Overlapping
from streams.runtime.readiness import Announcing
from streams.runtime.redaction_key import redaction_key
from streams.runtime.registry import Registry
from streams.runtime.snapshots import FileSnapshots, SavedMeanwhile, TopicSnapshots
from streams.runtime.view import newest_directory
from streams.settings import Settings

SNAPSHOT_FILE_MS: Final = 10_000
SNAPSHOT_TOPIC_MS: Final = 300_000
DETECT_PACE_SECONDS: Final = 0.016
"""Detect fetches 60 times a second at most while there is little. What follows a fetch costs all stages and the broker;
at 10 000 lines a second on two hyperthreads p99 from a line to its command was 65 ms with 12, 56 to 60 with 16, 62 with
20 and 95 with 30."""


@click.command()
@instance_option
def detect(instance: str) -> None:
    r"""Read log lines and inboxes, match every line, append facts. Any number may run, on any host.

    \b
    Example:
      LOGMEND_BROKERS=kafka:9092 logmend detect --instance detect-2
    """
    run("detect", instance, _detect)


async def _detect(settings: Settings, instance: str, stop: asyncio.Event) -> None:
    topics = settings.topics
    book = Book()
    redactor = Redactor(redaction_key(settings))
    notes = Notes(settings.data_dir / "run" / f"detect-{instance}.notes")
    pressure = Pressure(settings.shed_lag_seconds * 1_000)
    watch = Watch(pressure, lambda: time.time_ns() // 1_000_000, lambda: time.monotonic_ns() // 1_000_000)
    async with KafkaLog(settings) as log, contextlib.AsyncExitStack() as stack:
        address = settings.schema_registry
        lookup = Lookup(await stack.enter_async_context(Registry(address)), book) if address else None
        known = await newest_directory(TopicSnapshots(log, topics.snapshots))

        def engine(guarded: Log) -> Engine:
            return DetectEngine(
                guarded,
                topics,
                lambda rules: WarySlicer(Slicer(matcher.merged(rules), topics, redactor, book, pressure), notes),
                _owner("detect", instance),
                lambda: uuid.uuid4().hex,
                known,
                lookup,
                watch,
            )

        await _host(settings, "detect", instance, log, topics.sources, engine, stop)


@click.command()
@instance_option
def decide(instance: str) -> None:
    r"""Fold facts into decisions. One is active for a fleet; a second one, on any host, is its standby.

    \b
    Example:
      LOGMEND_BROKERS=kafka:9092 logmend decide
    """
    run("decide", instance, _decide)


async def _decide(settings: Settings, instance: str, stop: asyncio.Event) -> None:
    topics = settings.topics
    catalogue = strategies()
    async with KafkaLog(settings) as log:

        def engine(guarded: Log) -> Engine:
            return DecideEngine(
                guarded,
                topics,
                (
                    Keeping(SavedMeanwhile(FileSnapshots(settings.data_dir / "snapshots")), SNAPSHOT_FILE_MS),
                    Keeping(TopicSnapshots(guarded, topics.snapshots), SNAPSHOT_TOPIC_MS),
                ),
                lambda snapshot: Fold.new(catalogue) if snapshot is None else Fold.restore(snapshot, catalogue),
                _owner("decide", instance),
                lambda: time.monotonic_ns() // 1_000_000,
            )

        await _host(settings, "decide", instance, log, (topics.facts,), engine, stop)


@click.command()
@instance_option
def dispatch(instance: str) -> None:
    r"""Send the commands that were decided, from the log. One is active for a fleet, a second one is its standby.

    \b
    Example:
      LOGMEND_BROKERS=kafka:9092 logmend dispatch
    """
    run("dispatch", instance, _dispatch)


async def _dispatch(settings: Settings, instance: str, stop: asyncio.Event) -> None:
    topics = settings.topics
    async with KafkaLog(settings) as log:
        await _host(
            settings,
            "dispatch",
            instance,
            log,
            (topics.decisions,),
            lambda guarded: DispatchEngine(guarded, topics),
            stop,
        )


async def _host(
    settings: Settings,
    stage: str,
    instance: str,
    log: Log,
    sources: Sequence[str],
    engine: Callable[[Log], Engine],
    stop: asyncio.Event,
) -> None:
    """Run an engine under Faust, on a log that checks the lease of this process before each write."""
    app = build_app(settings, f"{settings.fleet}-{stage}", f"{stage}-{instance}")
    hosted: Engine = Announcing(engine(app.guard(log)), settings.data_dir)
    if stage == "detect":
        hosted = Overlapping(hosted)
        app.pace_seconds = DETECT_PACE_SECONDS
    await run_faust(hosted, app, sources, stage, stop)


def _owner(stage: str, instance: str) -> str:
    return f"{stage}/{instance}/{os.getpid()}"
