"""``logmend workers``: the pool of this host on a real Kafka, from its settings."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

from streams import telemetry
from streams.runtime.kafka import KafkaLog
from streams.runtime.view import FactsView
from streams.settings import Settings
from streams.workers.journal import Journal
from streams.workers.pool import Host, Pool

INHERITED: Final = ("PATH", "HOME", "LANG", "TZ")
"""What a service gets from the environment of the pool; the rest it declares."""


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Work until ``stop`` is set.

    Raises ``InputError`` when another pool works in the data directory or no broker answers, ``InvariantError`` when
    commands are missing: nothing more may be done then.
    """
    journal = Journal.open(settings.data_dir / "pool")
    try:
        async with KafkaLog(settings) as log:
            view = await FactsView.open(log, settings.topics)
            host = Host(
                name=settings.host,
                checkpoints=settings.data_dir / "pool" / "checkpoints",
                workers_per_role=settings.workers_per_role,
                dry_run=settings.dry_run,
                environment={name: os.environ[name] for name in INHERITED if name in os.environ},
            )
            telemetry.process_started("workers", host=host.name, dry_run=host.dry_run)
            await Pool(log, settings.topics, view, journal, host).run(stop)
    finally:
        journal.close()
    telemetry.process_stopped("workers", "told to")


async def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)
