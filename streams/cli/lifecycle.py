"""Change without fear: another epoch, a backup, and a restore."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import click

from analytics import backup as backups
from analytics.backup import Backup
from analytics.manifest import Manifest, load
from analytics.verify import Report, verify
from streams.agents.rehearsing import rehearse
from streams.catalogue import strategies
from streams.cli.home import log_directory
from streams.cli.output import json_option, print_json, printable
from streams.cli.steering import author_option, named, reason_option
from streams.cli.topics import accepted
from streams.codec import encode
from streams.core.epochs import EpochChanged
from streams.core.errors import InputError
from streams.core.fold import Fold, check_epoch, check_not_newer, is_own, own_epoch
from streams.explaining import settings_file
from streams.ports import Outgoing, TopicPartition
from streams.runtime.address import bootstrap
from streams.runtime.admin import BY_BROKER, STAMPS, Admin, create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.broker_config import LOGS_BYTES_MAX
from streams.runtime.kafka import KafkaLog
from streams.runtime.redaction_key import FILE_NAME as KEY_FILE
from streams.runtime.refill import Filling, Stored, are_empty, refill
from streams.runtime.view import FactsView
from streams.settings import FILE_DEFAULT, Settings

KEPT: Final = (KEY_FILE, "web/tokens.json")
"""Files of the data directory that a backup has beside the log: without them tags and logins would be others."""
NOT_INCLUDED: Final = (
    "lines that were not read yet, and what came in within the last seconds",
    "snapshots (computed again), checkpoints of services, dead letters, and what waits to be told to people",
)


def release() -> str:
    """Return which release this is."""
    try:
        return version("logmend")
    except PackageNotFoundError:
        return "unknown"


@contextlib.asynccontextmanager
async def reachable(settings: Settings) -> AsyncIterator[Settings]:
    """Yield settings whose broker answers: the one that is set or runs, else the embedded one, for as long as this."""
    if known := _known(settings):
        yield settings.model_copy(update={"brokers": known})
        return
    async with EmbeddedBroker(settings) as broker:
        yield settings.model_copy(update={"brokers": broker.address})


def _known(settings: Settings) -> str:
    """Return where brokers are, ``""`` when none is set and none runs."""
    try:
        return bootstrap(settings)
    except InputError:
        return ""


@click.command()
@reason_option
@author_option
@json_option
def upgrade(reason: str, author: str, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Let this release decide from here on: the fleet's epoch becomes this release's, on record. There is no way back.

    Make a backup, stop what runs of the older release, install this one everywhere, and run this once. What the older
    one decided stays as it is; what it had left undecided, and all that follows, is decided by this release. Before
    that it is tried out on all that is recorded, and nothing is changed if this release fails on any of it.

    \b
    Example:
      logmend backup /var/backups/logmend
      logmend upgrade --reason "release 2"
    """
    settings = Settings.load()
    was, now = asyncio.run(_upgraded(settings, named(author, settings), reason))
    if as_json:
        print_json({"previous": was, "epoch": now, "release": release()})
    elif was == now:
        click.echo(f"the fleet is in epoch {now} already: nothing to do")
    else:
        click.echo(f"the fleet is in epoch {now}, and was in epoch {was}: start this release")


async def _upgraded(settings: Settings, author: str, reason: str) -> tuple[int, int]:
    """Append the change unless it is there, and return the epochs before and after."""
    async with reachable(settings) as reached, KafkaLog(reached) as log:
        view = await FactsView.open(log, reached.topics, any_epoch=True)
        if not view.directory.facts_offset:
            raise InputError("the fleet has no facts yet: there is nothing to upgrade")
        was = view.directory.epoch
        check_not_newer(was, view.directory.release)
        if not is_own(was):
            await rehearse(log, reached.topics, Fold.new(strategies()))
            change = EpochChanged(epoch=own_epoch(), previous=was, release=release(), author=author, reason=reason)
            await log.append([Outgoing(reached.topics.facts, encode(change), b"")])
            await view.refresh()
            check_epoch(view.directory.epoch, view.directory.release)
        return was, view.directory.epoch


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@json_option
def backup(directory: Path, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Copy the event log, the redaction key, the web's tokens and logmend.toml into an empty directory.

    It may be done while everything runs. The event log is enough to go on from, also on another Kafka: see restore.
    The directory is as confidential as the data directory. Segments are linked where the file system is the same; copy
    the backup to another machine.

    \b
    Example:
      logmend backup /var/backups/logmend-2026-11-22
    """
    settings = Settings.load()
    others = {name: path for name in KEPT if (path := settings.data_dir / name).is_file()}
    if (path := settings_file()).is_file():
        others[FILE_DEFAULT] = path
    made = backups.make(
        log_directory(settings),
        directory.absolute(),
        others,
        at_ms=time.time_ns() // 1_000_000,
        release=release(),
        fleet=settings.fleet,
    )
    _tell(made, directory, as_json=as_json, done="backed up in", note=f"not in it: {'; '.join(NOT_INCLUDED)}")


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
def restore(directory: Path, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Put a backup back into an empty data directory, and the event log's topics into a Kafka that has none of them.

    Nothing of the fleet may run. Facts, decisions and commands get their old offsets and times, so numbers and hash
    chain go on. Source topics that are new are read from their start. Where Kafka still has the topics, only the files
    are put back. Exit status 1 when what was restored is not whole.

    \b
    Example:
      logmend restore /var/backups/logmend-2026-11-22
    """
    settings = Settings.load()
    fleet = backups.read(directory.absolute()).fleet
    if fleet != settings.fleet:
        raise InputError(f"the backup is of fleet {fleet}, and LOGMEND_FLEET is {settings.fleet}: set it to {fleet}")
    put = backups.put_back(directory.absolute(), settings.data_dir)
    note = asyncio.run(_restored(settings))
    _tell(put, settings.data_dir, as_json=as_json, done="restored to", note=note)


async def _restored(settings: Settings) -> str:
    """Fill Kafka from the files that were put back, check all of it, and say what was done."""
    log_dir = log_directory(settings)
    async with reachable(settings) as reached:
        await create_topics(reached, logs_bytes_max=0 if settings.brokers else LOGS_BYTES_MAX)
        fillings = _fillings(reached, log_dir, load(log_dir))
        if not await _are_empty(reached, fillings):
            _check_whole(await verify(log_dir))
            return "Kafka had the topics: they stay as they are"
        await refill(reached, fillings)
        async with KafkaLog(reached) as log:
            _check_whole(await verify(log_dir, log))
        moved = [f"{topic}/{row[0]}" for topic in reached.topics.sources for row in await accepted(reached, topic)]
        return f"the topics were filled again; read from their start: {', '.join(moved) or 'none'}"


def _check_whole(report: Report) -> None:
    if not report.ok:
        first = report.findings[0]
        raise InputError(f"restored, but not whole: {first.file or 'log'}: {first.message}; run logmend verify")


async def _are_empty(settings: Settings, fillings: Sequence[Filling]) -> bool:
    """Tell whether the log's topics are to be filled; ``InputError`` when a killed restore left them half full."""
    async with KafkaLog(settings) as log, Admin(settings) as admin:
        ends = {one.topic: (await log.bounds(TopicPartition(one.topic, 0)))[1] for one in fillings}
        stamps = {state.wanted.name: state.config.get(STAMPS) for state in await admin.describe()}
    return are_empty(fillings, ends, [name for name in ends if stamps.get(name) != BY_BROKER])


def _fillings(settings: Settings, log_dir: Path, manifest: Manifest) -> list[Filling]:
    """Return what each topic of the log is to hold. Of commands the last one stays, which dispatch goes on from."""
    topics, ends = settings.topics, {name: stream.position for name, stream in manifest.streams.items()}

    def filling(name: str, topic: str, start: int = 0) -> Filling:
        rows = (Stored(*one) for one in backups.records(log_dir, manifest, name))
        return Filling(topic, ends.get(name, 0), rows, start)

    return [
        filling("facts", topics.facts),
        filling("decisions", topics.decisions),
        filling("commands", topics.commands, max(ends.get("commands", 0) - 1, 0)),
        Filling(topics.evidence, ends.get("evidence", 0), start=ends.get("evidence", 0)),
    ]


def _tell(what: Backup, directory: Path, *, as_json: bool, done: str, note: str) -> None:
    size = sum(one.size for one in what.files)
    figures: dict[str, Any] = {"files": len(what.files), "bytes": size, **what.ends}
    if as_json:
        print_json({"directory": str(directory), **figures, "note": note})
        return
    ends = ", ".join(f"{end} {name}" for name, end in what.ends.items())
    click.echo(f"{done} {printable(str(directory))}: {len(what.files)} files, {size / 2**20:.1f} MiB: {ends}")
    click.echo(note)
