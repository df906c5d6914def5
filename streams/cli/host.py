"""``logmend host``: the agent that looks at this host and tells what it sees."""

from __future__ import annotations

import asyncio

import click

from streams import telemetry
from streams.cli.process import instance_option, run
from streams.runtime.address import bootstrap
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import ready
from streams.runtime.view import FactsView
from streams.settings import Settings
from streams.workers.judging import Limits
from streams.workers.permits import permits
from streams.workers.watching import HostWatch, Watched


@click.command()
@instance_option
def host(instance: str) -> None:
    r"""Look at this host every half a minute, and tell: metrics, and limits that are crossed. It acts on nothing.

    It looks at processors, memory, file systems, temperatures, the broker, and Logmend's own processes of this data
    directory. At its start it says what its permissions allow to be done to the services of the inventory. Each hour
    (LOGMEND_CANARY_SECONDS) it sends a line of the service logmend-canary, which must become a decision.

    \b
    Example:
      LOGMEND_BROKERS=kafka:9092 LOGMEND_HOST_DISK_PERCENT_MAX=80 logmend host
    """
    run("host", instance, _host)


async def _host(settings: Settings, _instance: str, stop: asyncio.Event) -> None:
    async with KafkaLog(settings) as log:
        services = (await FactsView.open(log, settings.topics)).directory.inventory.services
        found = await asyncio.to_thread(permits, services, settings.host, settings.tool_path)
        telemetry.permissions_found(settings.host, [str(permit) for permit in found])
        ready(settings.data_dir)
        await HostWatch(log, settings.topics, watched(settings)).run(stop)


def watched(settings: Settings) -> Watched:
    """Return what the settings say of the host."""
    return Watched(
        host=settings.host,
        data_dir=settings.data_dir,
        brokers=bootstrap(settings),
        every_ms=settings.host_every_ms,
        canary_seconds=settings.canary_seconds,
        limits=Limits(
            cpu_percent=settings.host_cpu_percent_max,
            memory_percent=settings.host_memory_percent_max,
            disk_percent=settings.host_disk_percent_max,
        ),
    )
