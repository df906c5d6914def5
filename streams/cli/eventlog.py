"""``logmend eventlog``: what stands in Kafka, into Parquet files that anybody can query."""

from __future__ import annotations

import asyncio

import click

from analytics.budget import GIGABYTE, Budget
from analytics.writer import EventLogWriter
from streams import telemetry
from streams.cli.process import instance_option, run
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import ready
from streams.runtime.view import FactsView
from streams.runtime.watching import reading
from streams.settings import Settings


class _Heard:
    """Counts what the writer did, and says what it could not do."""

    def wrote(self, stream: str, records: int, size_bytes: int) -> None:  # noqa: ARG002 - the writer passes it
        """Count a segment."""
        telemetry.archived(stream, records)

    def failed(self, message: str) -> None:
        """Say that a disk does not let us; it is tried again."""
        telemetry.handled("eventlog", message)

    def measured(self, used_bytes: int, budget_bytes: int) -> None:
        """Show how much of the disk budget is used."""
        telemetry.data_measured(used_bytes, budget_bytes)


def budget_of(settings: Settings) -> Budget | None:
    """Return what the data directory may take; None while there is no limit."""
    bytes_max = int(settings.disk_budget_gb * GIGABYTE)
    return Budget(settings.data_dir, bytes_max) if bytes_max else None


@click.command()
@instance_option
def eventlog(instance: str) -> None:
    r"""Archive facts, decisions, commands and evidence as Parquet files under the data directory.

    One process writes a directory; any number of people query it meanwhile.

    \b
    Example:
      LOGMEND_BROKERS=kafka:9092 LOGMEND_DATA_DIR=/var/lib/logmend logmend eventlog
    """
    run("eventlog", instance, _eventlog)


async def _eventlog(settings: Settings, _instance: str, stop: asyncio.Event) -> None:
    async with KafkaLog(settings) as log:
        await FactsView.open(log, settings.topics)  # says so where the fleet is in another epoch
        with (
            reading("eventlog", log) as watched,
            EventLogWriter(
                watched,
                settings.topics,
                settings.data_dir / "log",
                observer=_Heard(),
                evidence_days=settings.evidence_days,
                budget=budget_of(settings),
            ) as writer,
        ):
            ready(settings.data_dir)
            await writer.run(stop)
