"""What the services share: their configuration file, their switches, their exit codes, and the lab that owns them."""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

EXIT_CONFIGURATION: Final = 78
"""``EX_CONFIG`` of sysexits.h: the configuration is wrong, starting again will not help."""
EXIT_UNAVAILABLE: Final = 69
"""``EX_UNAVAILABLE`` of sysexits.h: something this service needs (its port) is not to be had."""
OWNER_VARIABLE: Final = "LAB_OWNER_PID"
LOOK_S: Final = 1.0


class ConfigurationError(ValueError):
    """The configuration file cannot be used; the message names the file and says why."""


def config_path() -> Path:
    """Return the path that the command line names.

    Also makes a fatal signal print a stack to the log, and ties the service to its lab.
    """
    faulthandler.enable()
    end_with_owner()
    parser = argparse.ArgumentParser(description="A service of the Logmend lab.")
    parser.add_argument("--config", required=True, type=Path, help="JSON file")
    path: Path = parser.parse_args().config
    return path


def read_config(path: Path, types: dict[str, type]) -> dict[str, Any]:
    """Return the JSON object in ``path``; ``ConfigurationError`` unless every key of ``types`` is there and fits."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"invalid configuration in {path}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"invalid configuration in {path}: not an object")
    for key, kind in types.items():
        if not isinstance(values.get(key), kind):
            raise ConfigurationError(f"invalid configuration in {path}: {key!r} must be of type {kind.__name__}")
    return values


def configured(path: Path, types: dict[str, type], fatal: Callable[[str], None]) -> dict[str, Any]:
    """Return the configuration in ``path`` (``read_config``); what is wrong with it is told, and ends the process."""
    try:
        return read_config(path, types)
    except ConfigurationError as error:
        fatal(f"configuration error: {error}")
        raise SystemExit(EXIT_CONFIGURATION) from None


def read_switch(path: Path, values: Sequence[str]) -> str:
    """Return what a switch holds; the first of its values when there is no file, or one with something else in it."""
    try:
        said = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return values[0]
    return said if said in values else values[0]


def utc_now() -> str:
    """Return the time of now in UTC as ``YYYY-MM-DDTHH:MM:SS.mmm``, for the services to write in their own styles."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def say(line: str) -> None:
    """Write a line to the log, which is standard error."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def end_with_owner() -> None:
    """See to it that this service ends within a second after the lab that started it, however hung it may be.

    A signal handler runs even while the program waits for a lock. A service without an owner goes on.
    """
    owner = os.environ.get(OWNER_VARIABLE, "")
    if owner.isdigit():
        signal.signal(signal.SIGALRM, lambda _number, _frame: _end_if_gone(int(owner)))
        signal.setitimer(signal.ITIMER_REAL, LOOK_S, LOOK_S)


def _end_if_gone(owner: int) -> None:
    try:
        os.kill(owner, 0)
    except ProcessLookupError:
        os._exit(0)
    except PermissionError:
        return  # it is there, and another user's
