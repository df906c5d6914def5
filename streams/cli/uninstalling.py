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
ROLES: Final = ("advise", "decide", "detect", "dispatch", "eventlog", "host", "notify", "shadow", "web", "workers")
MADE: Final[dict[str, tuple[str, ...]]] = {
    LOG: ("segments", "erase", "writer.lock", "manifest.json*"),
    "kafka": ("data", "tmp", "broker.log*", "output.log", "server.properties", "log4j2.properties", "ports.json"),
    "run": ("broker.json", "broker.lock", *(f"{role}*.{end}" for role in ROLES for end in ("json", "log", "log.1"))),
    "snapshots": ("snapshot-*",),
    "pool": ("checkpoints", "journal.*"),
    "web": ("tokens.*", "address"),
    "notify": ("journal.*",),
    "advise": ("budget.json", "address"),
    "shadow": ("shadow.*",),
    "lab": ("*",),
}
"""All that Logmend makes in the directories of its data directory; whatever else is in them is somebody else's."""
SIGNS: Final = {"kafka": ("ports.json",), "lab": ("injections.jsonl", "shipped.json")}
"""Directories whose parts have names that others give, too: without one of these they are none of ours."""
LOCKS: Final = (
    "run/broker.lock",
    "log/writer.lock",
    "pool/journal.lock",
    "notify/journal.lock",
    "shadow/shadow.lock",
)
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
    names = [name for name in (*MADE, KEY_FILE) if _is_ours(home / name) and not (keep_log and name == LOG)]
    if names and not yes:
        click.confirm(f"Remove {', '.join(names)} from {home} for good?", abort=True, err=True)
    _remove(home, names)
    left = sorted(path.name for path in home.iterdir()) if home.is_dir() else []
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


def _is_ours(path: Path) -> bool:
    """Tell whether Logmend made something of a directory, or all of a file or link; an empty directory is nobody's."""
    if path.is_symlink() or not path.is_dir():
        return path.is_symlink() or path.exists()
    return bool(_parts(path)) or not any(path.iterdir())


def _parts(directory: Path) -> list[Path]:
    """Return what Logmend made in a directory, what shows that it did at the end: a removal may be interrupted."""
    signs = SIGNS.get(directory.name, ())
    if signs and not any((directory / sign).exists() for sign in signs):
        return []
    found = {path for pattern in MADE[directory.name] for path in directory.glob(pattern)}
    return sorted(found, key=lambda path: (path.name in signs, path.name))


def _remove(home: Path, names: list[str]) -> None:
    """Remove what is ours, and directories that are empty then; a link is removed, and not what it leads to."""
    try:
        for path in (home / name for name in names):
            if path.is_dir() and not path.is_symlink():
                for part in _parts(path):
                    _remove_whole(part)
                _remove_empty(path)
            else:
                path.unlink()
        _remove_empty(home)
    except OSError as error:
        raise InputError(f"{error.filename or home} can't be removed: {error.strerror}") from error


def _remove_whole(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _remove_empty(directory: Path) -> None:
    if directory.is_dir() and not directory.is_symlink() and not any(directory.iterdir()):
        directory.rmdir()
