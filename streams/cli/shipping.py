"""``logmend ship``: the lines of files, each as one record, as a log shipper would send them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import click
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lab.shipper import outgoing
from streams.cli import tailing
from streams.cli.output import json_option, print_json
from streams.cli.shift import Shift
from streams.cli.tailing import Tail
from streams.runtime.admin import Admin
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings

BATCH_LINES: Final = 2_000
BATCH_BYTES_MAX: Final = 4_000_000
FOLLOW_EVERY_S: Final = 0.2
FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


class Shipped(Struct):
    """What Kafka has acknowledged."""

    lines: int = 0
    bytes: int = 0


class Sender:
    """Sends a file's lines to one topic, and counts in ``shipped`` and on a progress bar."""

    def __init__(self, log: KafkaLog, topic: str, partitions: int, shipped: Shipped, bar: Progress) -> None:
        self._log = log
        self._topic = topic
        self._partitions = partitions
        self._shipped = shipped
        self._bar = bar

    async def whole(self, path: Path, service: str, move: Shift | None) -> None:
        """Send a file from its start to its end."""
        task = self._bar.add_task(path.name, total=await asyncio.to_thread(_count, path))
        for batch in _batches(tailing.lines(path)):
            await self._send(service, batch, move)
            self._bar.advance(task, len(batch))

    async def growing(self, path: Path, service: str, move: Shift | None) -> None:
        """Send what a file holds and then, as it is, what it gains; until cancelled."""
        task = self._bar.add_task(path.name, total=None)
        tail = Tail(path, position=0)
        while True:
            new = await asyncio.to_thread(tail.new)
            for batch in _batches(iter(new)):
                await self._send(service, batch, move)
                self._bar.advance(task, len(batch))
            if not new:
                move = None
                await asyncio.sleep(FOLLOW_EVERY_S)

    async def _send(self, service: str, lines: list[bytes], move: Shift | None) -> None:
        records = outgoing(self._topic, self._partitions, service, [move(line) for line in lines] if move else lines)
        await self._log.append(records)
        self._shipped.lines += len(lines)
        self._shipped.bytes += sum(map(len, lines))


def _count(path: Path) -> int:
    return sum(1 for _ in tailing.lines(path))


def _batches(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Yield parts of at most ``BATCH_LINES`` lines, and of little more than ``BATCH_BYTES_MAX``."""
    while part := list(islice(lines, BATCH_LINES)):
        if sum(map(len, part)) <= BATCH_BYTES_MAX:
            yield part
        else:
            yield from ([line] for line in part)


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option("--service", default="", help="The service that the lines are of.  [default: the file's name]")
@click.option("--topic", default="", help="The topic to send to.  [default: the first of LOGMEND_LOGS]")
@click.option("--follow", is_flag=True, help="Go on with what the files gain, until Ctrl-C.")
@click.option("--live", is_flag=True, help="Move all stamps of a file so that its last line is of now.")
@json_option
def ship(
    files: tuple[Path, ...],
    service: str,
    topic: str,
    follow: bool,  # noqa: FBT001 - click passes it
    live: bool,  # noqa: FBT001 - click passes it
    as_json: bool,  # noqa: FBT001 - click passes it
) -> None:
    r"""Send the lines of files (plain or gzip) to Kafka, each as one record, as they are.

    Logmend does not act on old evidence: lines that happened more than five minutes ago teach, and cause no command.
    --live makes old lines new.

    \b
    Example:
      logmend ship /var/log/syslog
      logmend ship old.log.gz --live --service orders
      logmend ship app.log --follow
    """
    if follow and any(tailing.is_gzip(path) for path in files):
        raise click.UsageError("--follow is for files that grow, and a gzip file does not")
    settings = Settings.load()
    began = time.monotonic()
    shipped = Shipped()
    jobs = [(path, service or tailing.service_of(path)) for path in files]
    try:
        asyncio.run(_ship(settings, jobs, topic or settings.logs[0], shipped, follow=follow, live=live))
    except KeyboardInterrupt:
        if not follow:
            raise
    _tell(len(files), shipped, time.monotonic() - began, as_json=as_json)


async def _ship(
    settings: Settings, jobs: list[tuple[Path, str]], topic: str, shipped: Shipped, *, follow: bool, live: bool
) -> None:
    now_ms = int(time.time() * 1000)
    async with Admin(settings) as admin:
        partitions = len(await admin.partitions([topic]))
    async with KafkaLog(settings) as log:
        with _bar() as bar:
            sender = Sender(log, topic, partitions, shipped, bar)
            send = sender.growing if follow else sender.whole
            async with asyncio.TaskGroup() as group:
                for path, service in jobs:
                    move = await asyncio.to_thread(tailing.to_now, path, now_ms) if live else None
                    group.create_task(send(path, service, move))


def _bar() -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def _tell(files: int, shipped: Shipped, seconds: float, *, as_json: bool) -> None:
    rate = round(shipped.lines / seconds)
    if as_json:
        figures = {"files": files, "lines": shipped.lines, "bytes": shipped.bytes}
        print_json({**figures, "seconds": round(seconds, 3), "lines_per_second": rate})
    else:
        click.echo(f"{shipped.lines} lines of {files} files in {seconds:.1f} s, all acknowledged ({rate} lines/s)")
