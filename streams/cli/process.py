"""What every lasting process does around its work: settings, log events, metrics, an orderly end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from streams import telemetry
from streams.cli.home import make_home
from streams.runtime.readiness import gone
from streams.runtime.watchdog import STALL_SECONDS
from streams.runtime.watching import turning
from streams.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
Work = Callable[[Settings, str, asyncio.Event], Awaitable[None]]
"""Given settings, the name of this process in its group, and the event that ends it."""


def instance_option(command: F) -> F:
    """Add ``--instance``; the command gets ``instance``."""
    return click.option(
        "--instance",
        default="",
        envvar="LOGMEND_INSTANCE",
        help="Name of this process among those of its kind; it must stay the same over restarts, and be no other's. "
        "[default: the host's name]",
    )(command)


def run(role: str, instance: str, work: Work) -> None:
    """Run a process until SIGTERM or SIGINT; what ends it otherwise is said in a log event and raised.

    Should its event loop stand still for a minute, it ends with 72.
    """
    settings = Settings.load()
    make_home(settings)
    telemetry.configure_logging()
    telemetry.serve(settings.metrics_port, settings.metrics_address, settings.data_dir)
    name = instance or settings.host
    try:
        asyncio.run(_until_stopped(settings, role, name, work))
    except Exception as error:
        telemetry.process_failed(role, error)
        raise
    gone(settings.data_dir)
    telemetry.process_stopped(role, "asked to")


async def _until_stopped(settings: Settings, role: str, name: str, work: Work) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    telemetry.loop_runs(asyncio.get_running_loop())
    telemetry.process_started(role, instance=name, pid=os.getpid(), fleet=settings.fleet)
    async with turning(role, STALL_SECONDS):
        await work(settings, name, stop)
