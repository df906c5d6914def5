"""Times that people name on the command line."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click

_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
F = TypeVar("F", bound=Callable[..., Any])


def since(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    """Return the time that ``2h`` or an ISO time stands for, in milliseconds; 0 for the beginning: no log is older."""
    if not text:
        return 0
    if found := re.fullmatch(r"(\d{1,6})([smhd])", text):
        return max(0, int(time.time() * 1000) - int(found[1]) * _UNITS_MS[found[2]])
    try:
        return max(0, moment_ms(text))
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{text!r} is neither like 30m, 2h or 3d nor an ISO time") from error


def moment_ms(text: str) -> int:
    """Return an ISO time in milliseconds since 1970, without a zone in UTC. ``ValueError`` or ``OverflowError``."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def since_option(command: F) -> F:
    """Add ``--since``; the command gets ``since_ms``, 0 when it is not given."""
    words = "30m, 2h, 3d ago, or an ISO time (UTC)."
    return click.option("--since", "since_ms", default="", callback=since, help=words)(command)
