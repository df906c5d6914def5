"""``logmend config check``: what would be used, and what is wrong with it, before anything is started or applied."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from msgspec import Struct

from streams.advise.asking import asker_of
from streams.cli import files
from streams.cli.output import json_option, print_json, print_table
from streams.core.errors import InputError
from streams.explaining import PREFIX, settings_file
from streams.notify.channels import described
from streams.runtime.security import check as security
from streams.runtime.security import client
from streams.settings import Settings
from streams.web.tokens import check_tokens

APPLIED: Final = ("policy", "rules", "services")
"""Settings that name a file which is applied."""
HIDDEN: Final = "(set)"
JUDGES: Final[tuple[Callable[[Settings], object], ...]] = (asker_of, described, check_tokens)
"""Each raises ``InputError`` when settings that belong together don't fit."""


class Used(Struct, frozen=True):
    """A setting as it would be used, and where it is from: environment, the file's name, or default."""

    name: str
    value: str
    source: str


class Judged(Struct, frozen=True):
    """A configuration file that is well: its kind, hash, and how many values differ from the defaults."""

    file: str
    kind: str
    sha256: str
    differing: int


@click.group()
def config() -> None:
    """Look at settings and configuration files without starting anything."""


@config.command()
@click.argument("paths", metavar="[FILE]...", nargs=-1, type=click.Path(dir_okay=False, path_type=Path))
@json_option
def check(paths: tuple[Path, ...], as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Read and judge all settings, the files that they name, and FILEs that are to be applied; start nothing.

    What would be used is listed, one setting a line, with where it is from. Exit status 1 when anything is wrong: each
    fault is a line on stderr.

    \b
    Example:
      logmend config check
      logmend config check policy.toml services.toml && logmend apply policy.toml
    """
    settings, faults = Settings.read()
    used = list(_used(settings)) if settings is not None else []
    judged: list[Judged] = []
    if settings is not None:
        faults += _contradictions(settings)
        faults += _unreadable(settings)
        paths = (*(path for name in APPLIED if (path := getattr(settings, name)) is not None), *paths)
    for path in paths:
        try:
            judged.append(_judged(path))
        except InputError as error:
            faults.append(str(error))
    _tell(used, judged, faults, as_json=as_json)
    if faults:
        raise click.exceptions.Exit(1)


def _judged(path: Path) -> Judged:
    value = files.read_checked(path)
    event = files.applied(value, "")
    return Judged(str(path), event.kind, event.sha256, len(files.differences(type(value)(), value)))


def _used(settings: Settings) -> Iterator[Used]:
    """Yield every setting; what may hold a password is not shown."""
    path = settings_file()
    in_file = tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}
    for name, field in Settings.model_fields.items():
        value: Any = getattr(settings, name)
        shown = ",".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
        source = "environment" if os.environ.get(PREFIX + name.upper()) else str(path) if name in in_file else "default"
        yield Used(name, shown if field.repr or not shown else HIDDEN, source)


def _contradictions(settings: Settings) -> Iterator[str]:
    """Yield what does not fit together."""
    for judge in (*JUDGES, client if settings.brokers else security):
        try:
            judge(settings)
        except InputError as error:
            yield str(error)


def _unreadable(settings: Settings) -> Iterator[str]:
    """Yield files with keys, passwords or certificates that can't be read."""
    for name in Settings.model_fields:
        path = getattr(settings, name)
        if not isinstance(path, Path) or name in {*APPLIED, "data_dir"}:
            continue
        try:
            path.open("rb").close()
        except OSError as error:
            yield f"{PREFIX}{name.upper()}: {path}: {error.strerror}"


def _tell(used: Sequence[Used], judged: Sequence[Judged], faults: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"settings": msgspec.to_builtins(used), "files": msgspec.to_builtins(judged), "faults": faults})
        return
    print_table(("setting", "value", "from"), [(one.name, one.value, one.source) for one in used])
    for one in judged:
        click.echo(f"{one.file}: {one.kind} {one.sha256[:12]}, {one.differing} values differ from the defaults")
    for fault in faults:
        click.echo(fault, err=True)
    if not faults:
        click.echo("all is well")
