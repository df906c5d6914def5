"""``logmend workers``: the pool of this host, which carries commands out."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing

import click

from streams.cli.process import instance_option, run
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import ready
from streams.runtime.view import FactsView
from streams.settings import Settings
from streams.workers.crew import ENVIRONMENT_KEPT
from streams.workers.journal import Journal
from streams.workers.pool import Host, Pool


@click.command()
@instance_option
def workers(instance: str) -> None:
    r"""Carry out the commands for this host with a pool of worker processes, and probe its services.

    Until LOGMEND_DRY_RUN is false, actions are only logged.

    \b
    Example:
      LOGMEND_BROKERS=kafka:9092 LOGMEND_DRY_RUN=false logmend workers
    """
    run("workers", instance, _workers)


async def _workers(settings: Settings, _instance: str, stop: asyncio.Event) -> None:
    home = settings.data_dir / "pool"
    host = Host(
        name=settings.host,
        checkpoints=home / "checkpoints",
        workers_per_role=settings.workers_per_role,
        dry_run=settings.dry_run,
        tool_path=settings.tool_path,
        environment={name: os.environ[name] for name in ENVIRONMENT_KEPT if name in os.environ},
    )
    async with KafkaLog(settings) as log:
        view = await FactsView.open(log, settings.topics)
        with closing(Journal.open(home)) as journal:
            pool = Pool(log, settings.topics, view, journal, host)
            await pool.run(stop, lambda: ready(settings.data_dir))
