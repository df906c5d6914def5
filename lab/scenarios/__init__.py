"""Scenarios: courses of events on real services, each with claims that its run has to bear out.

A scenario is a coroutine in a module of its own: it takes the settings and a display, runs for about a minute with
everything embedded, and returns a ``Report``. ``SCENARIOS`` names those that ``logmend lab --scenario`` offers.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from lab.display import Display
from lab.scenarios import flapping, mix, outage, pool_exhaustion, toolchain
from lab.scenarios.frame import Report
from streams.settings import Settings

Run = Callable[[Settings, Display], Coroutine[Any, Any, Report]]
"""Runs to its end and leaves nothing behind; ``InputError`` says in one line why it can't run."""

SCENARIOS: Final[dict[str, Run]] = {
    "flapping": flapping.run,
    "mix": mix.run,
    "outage": outage.run,
    "pool-exhaustion": pool_exhaustion.run,
    "toolchain": toolchain.run,
}
