"""``logmend ship``: the lines of files, each as one record, as a log shipper would send them."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lab.shipper import outgoing
from streams.cli import tailing
from streams.cli.output import json_option, print_json
from streams.cli.shift import Shift
from streams.cli.tailing import Tail
from streams.core.errors import InputError
from streams.runtime.admin import Admin
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from streams.topics import Topics

BATCH_LINES: Final = 2_000
BATCH_BYTES_MAX: Final = 4_000_000
FOLLOW_EVERY_S: Final = 0.2
FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


class Shipped(Struct):
    """What Kafka has acknowledged of one file, and why it is not all of it."""

    file: str
    lines: int = 0
    bytes: int = 0
    problem: str = ""


class Job(NamedTuple):
    """A file, the service that its lines are of, and what became of it."""

    path: Path
    service: str
    shipped: Shipped


class Sender:
    """Sends files' lines to one topic, and counts in each job's ``shipped`` and on a progress bar."""

    def __init__(self, log: KafkaLog, topic: str, partitions: int, bar: Progress) -> None:
        self._log = log
        self._topic = topic
        self._partitions = partitions
        self._bar = bar

    async def send(self, job: Job, *, follow: bool, live_ms: int) -> None:
        """Send a job's file, its stamps moved to ``live_ms`` if that is not 0; a damaged file is noted, not raised."""
        try:
            move = await asyncio.to_thread(tailing.to_now, job.path, live_ms) if live_ms else None
            await (self.growing(job, move) if follow else self.whole(job, move))
        except InputError as error:
            job.shipped.problem = str(error)

    async def whole(self, job: Job, move: Shift | None) -> None:
        """Send a file from its start to its end; nothing of one that can't be read to its end."""
        task = self._bar.add_task(job.path.name, total=await asyncio.to_thread(_count, job.path))
        for batch in _batches(tailing.lines(job.path)):
            await self._send(job, batch, move)
            self._bar.advance(task, len(batch))

    async def growing(self, job: Job, move: Shift | None) -> None:
        """Send what a file holds and then, as it is, what it gains; until cancelled."""
        task = self._bar.add_task(job.path.name, total=None)
        tail = Tail(job.path, position=0)
        while True:
            new = await asyncio.to_thread(tail.new)
            for batch in _batches(iter(new)):
                await self._send(job, batch, move)
                self._bar.advance(task, len(batch))
            if not new:
                move = None
                await asyncio.sleep(FOLLOW_EVERY_S)

    async def _send(self, job: Job, lines: list[bytes], move: Shift | None) -> None:
        moved = [move(line) for line in lines] if move else lines
        await self._log.append(outgoing(self._topic, self._partitions, job.service, moved))
        job.shipped.lines += len(lines)
        job.shipped.bytes += sum(map(len, lines))


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
    topic = topic or settings.logs[0]
    if topic in _own(settings.topics):
        raise click.UsageError(f"{topic} is Logmend's own; ship to one of LOGMEND_LOGS ({', '.join(settings.logs)})")
    began = time.monotonic()
    jobs = [Job(path, service or tailing.service_of(path), Shipped(file=str(path))) for path in files]
    try:
        asyncio.run(_ship(settings, jobs, topic, follow=follow, live=live))
    except KeyboardInterrupt:
        if not follow:
            raise
    shipped = [job.shipped for job in jobs]
    _tell(shipped, time.monotonic() - began, as_json=as_json)
    if problems := [each.problem for each in shipped if each.problem]:
        raise InputError("; ".join(problems))


def _own(topics: Topics) -> set[str]:
    """Return the topics that only Logmend's processes write."""
    return {topic.name for topic in topics.all()}.difference(topics.logs, topics.metrics)


async def _ship(settings: Settings, jobs: list[Job], topic: str, *, follow: bool, live: bool) -> None:
    live_ms = int(time.time() * 1000) if live else 0
    async with Admin(settings) as admin:
        partitions = len(await admin.partitions([topic]))
    async with KafkaLog(settings) as log:
        with _bar() as bar:
            sender = Sender(log, topic, partitions, bar)
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(sender.send(job, follow=follow, live_ms=live_ms))


def _bar() -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def _tell(shipped: list[Shipped], seconds: float, *, as_json: bool) -> None:
    lines, size = sum(each.lines for each in shipped), sum(each.bytes for each in shipped)
    rate = round(lines / seconds)
    if as_json:
        figures = {"files": len(shipped), "lines": lines, "bytes": size, "seconds": round(seconds, 3)}
        print_json({**figures, "lines_per_second": rate, "each": msgspec.to_builtins(shipped)})
        return
    whole = not any(each.problem for each in shipped)
    if len(shipped) > 1 or not whole:
        for each in shipped:
            click.echo(f"{each.file}: {each.lines} lines acknowledged{', not all' if each.problem else ''}")
    all_ = "all acknowledged" if whole else "acknowledged"
    click.echo(f"{lines} lines of {len(shipped)} files in {seconds:.1f} s, {all_} ({rate} lines/s)")
