"""What is wrong with settings, in one line each: which, where it was set, what it is, and what is allowed."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from streams.core.errors import InputError

PREFIX: Final = "LOGMEND_"
FILE_VARIABLE: Final = "LOGMEND_CONFIG"
FILE_DEFAULT: Final = "logmend.toml"
MISTYPED_RATIO: Final = 0.75


def settings_file() -> Path:
    """Return where settings are read from, be it there or not; ``InputError`` when a file is named that is not."""
    named = os.environ.get(FILE_VARIABLE)
    if named and not Path(named).is_file():
        raise InputError(f"{FILE_VARIABLE}={named}: there is no such file")
    return Path(named or FILE_DEFAULT)


def mistyped(environment: Collection[str], fields: Collection[str]) -> Iterator[str]:
    """Yield each variable that is nearly a setting: a typing mistake must not pass for a default."""
    known = {name.upper() for name in fields}
    for variable in sorted(environment):
        name = variable.removeprefix(PREFIX)
        if variable == name or name in known:
            continue
        if close := difflib.get_close_matches(name, sorted(known), n=1, cutoff=MISTYPED_RATIO):
            yield f"{variable} is not a setting: did you mean {PREFIX}{close[0]}?"


def read_twice(logs: Collection[str], metrics: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with topics read twice: as lines, records of metrics would be lines or dead letters."""
    if both := sorted({*logs} & {*metrics}):
        variables = f"{PREFIX}LOGS and {PREFIX}METRICS"
        yield f"{', '.join(both)} is in both {variables}: send metrics to a topic of their own"


def explain(error: Mapping[str, Any], fields: Mapping[str, Any], given: Collection[str]) -> str:
    """Say what one error of pydantic's means; ``given`` are the settings that were passed and not read."""
    name = str(error["loc"][0])
    field = fields.get(name)
    if field is None:
        return f"{name} in {settings_file()} is not a setting: {_suggest(name, fields)}"
    variable = PREFIX + name.upper()
    where = variable
    if name not in given and variable not in os.environ:
        where = f"{name} in {settings_file()} (or {variable})"
    value = os.environ.get(variable, error["input"]) if name not in given else error["input"]
    said = f"{str(value)[:80]!r}" if field.repr else "not valid"  # what is not shown may hold a password
    return f"{where} is {said}; allowed: {field.description}"


def _suggest(name: str, fields: Collection[str]) -> str:
    close = difflib.get_close_matches(name, sorted(fields), n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(fields))}"
