"""Which actions a worker of a role may run, and the function behind each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Final

from streams.workers.orders import Order
from streams.workers.results import Result, Surroundings

Handler = Callable[[Order, Surroundings], Result]

HANDLERS: Final[Mapping[str, str]] = {
    "process.start": "process:start",
    "process.stop": "process:stop",
    "process.restart": "process:restart",
    "process.kill_blocker": "process:kill_blocker",
    "process.rollback_config": "process:rollback_config",
    "process.checkpoint": "process:checkpoint",
    "http.call": "http:call",
    "http.probe": "http:probe",
}
"""Action id to module and function of this room; modules are imported when first used, by workers of that role only."""

ROLES: Final[Mapping[str, frozenset[str]]] = {"executor": frozenset(HANDLERS)}


def role_of(action: str) -> str:
    """Return the role whose workers run an action; ``""`` when none does."""
    return next((role for role, actions in ROLES.items() if action in actions), "")


@cache
def handler(action: str) -> Handler:
    """Return the function behind an action."""
    module, _, name = HANDLERS[action].partition(":")
    found: Handler = getattr(import_module(f"streams.workers.{module}"), name)
    return found
