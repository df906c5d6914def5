"""``logmend uninstall``: what Logmend made on this machine goes, and nothing else."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from streams.cli.output import json_option, print_json, printable
from streams.core.errors import InputError
from streams.runtime.readiness import read_process
from streams.runtime.redaction_key import FILE_NAME as KEY_FILE
from streams.settings import Settings

LOG: Final = "log"
MADE: Final = (LOG, "kafka", "run", "snapshots", "pool", "web", "notify", "advise", "shadow", KEY_FILE)
"""All that Logmend makes in its data directory."""
LOCKS: Final = ("run/broker.lock", "log/writer.lock", "pool/journal.lock", "notify/journal.lock")
"""Files that processes hold locked while they work."""


@click.command()
@click.option("--keep-log", is_flag=True, help="Leave the event log where it is.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
def uninstall(keep_log: bool, yes: bool, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Remove what Logmend made in its data directory; files of anybody else's stay, and so does a Kafka of your own.

    Refused while anything of Logmend runs there. The package itself goes with pip.

    \b
    Example:
      logmend uninstall --keep-log
      pip uninstall logmend
    """
    settings = Settings.load()
    home = settings.data_dir
    if busy := sorted(_busy(home)):
        raise InputError(f"stop what runs in {home} first: {', '.join(busy)}")
    names = [name for name in MADE if (home / name).exists() and not (keep_log and name == LOG)]
    if names and not yes:
        click.confirm(f"Remove {', '.join(names)} from {home} for good?", abort=True, err=True)
    _remove(home, names)
    left = sorted(path.name for path in home.iterdir()) if home.is_dir() else []
    if home.is_dir() and not left:
        home.rmdir()
    if as_json:
        print_json({"directory": str(home), "removed": names, "left": left})
        return
    said = f"removed {', '.join(names)} from" if names else "there is nothing of Logmend's in"
    others = f"; left: {printable(', '.join(left))}" if left else ""
    click.echo(f"{said} {home}{others}")
    if settings.brokers:
        click.echo(f"its topics are still in Kafka: {', '.join(topic.name for topic in settings.topics.all())}")


def _busy(home: Path) -> Iterator[str]:
    """Yield what runs in a data directory: processes that said that they are ready, and locks that are held."""
    for path in (home / "run").glob("*.json"):
        process = read_process(path)
        if process is not None and process.alive:
            yield path.stem
    for name in LOCKS:
        if _is_held(home / name):
            yield f"who holds {name}"


def _is_held(path: Path) -> bool:
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _remove(home: Path, names: list[str]) -> None:
    """Remove files and whole directories; a link is removed, and not what it leads to."""
    for name in names:
        path = home / name
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            raise InputError(f"{error.filename or path} can't be removed: {error.strerror}") from error
