"""Which actions a worker may run, by its role or as which specialist, and the function behind each.

The roles are those of SPEC X1: the architect looks over what there is to plan with, the coder proposes a change, the
executor acts, the critic verifies, the deployer rolls out and back. A specialist looks, and acts with its own verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Final

from streams.catalogue import teams
from streams.catalogue.actions import actions
from streams.workers.orders import Order
from streams.workers.results import Result, Surroundings

SPARE: Final = "spare"
"""The name of a worker that has no actions yet: it waits to become a specialist."""
Handler = Callable[[Order, Surroundings], Result]

_ANY: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("isolate", "fallback", "degrade", "rejoin", "restore_upstream", "restore_features"), "switches:move"
    ),
    "scale_up": "switches:move",
    "scale_down": "switches:move",
    "clear_caches": "upkeep:clear_caches",
    "rotate_log": "upkeep:rotate_log",
    "renew_certificate": "upkeep:declared_tool",
    "end_idle_sessions": "upkeep:declared_tool",
    "checkpoint": "upkeep:checkpoint",
    "verify": "verify:verify",
    "look": "looking:look",
    "survey": "looking:survey",
    "propose": "proposals:propose",
}
"""Verb to module and function of this room, for every type of service that the next table does not name."""
_BY_TYPE: Final[Mapping[str, Mapping[str, str]]] = {
    "process": {
        **{verb: f"process:{verb}" for verb in ("start", "stop", "restart", "kill_blocker", "rollback_config")},
        "checkpoint": "process:checkpoint",
        "reload": "upkeep:reload",
    },
    "systemd": {
        **{verb: f"units:{verb}" for verb in ("start", "stop", "restart", "reload", "rollback_config")},
        "kill_blocker": "units:kill_blocker",
    },
    "docker": {verb: f"units:{verb}" for verb in ("start", "stop", "restart", "reload", "rollback_config")},
    "hybrid": {verb: f"units:{verb}" for verb in ("start", "stop", "restart", "reload", "rollback_config")},
    "kubernetes": {
        verb: f"units:{verb}" for verb in ("start", "stop", "restart", "rollback_version", "scale_up", "scale_down")
    },
    "http": {"call": "http:call", "probe": "http:probe"},
}

HANDLERS: Final[Mapping[str, str]] = {
    action.id: _BY_TYPE[action.service_type].get(action.verb) or _ANY[action.verb] for action in actions().values()
}
"""Action id to module and function of this room; modules are imported when first used, by workers of that role only."""

_ROLE_OF_VERB: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("checkpoint", "restore_features", "restore_upstream", "rollback_config", "rollback_version"), "deployer"
    ),
    "verify": "critic",
    "look": "architect",
    "survey": "architect",
    "propose": "coder",
}
"""Whose a verb is, if not the executor's."""


def role_of(action: str) -> str:
    """Return the role whose workers run an action; ``""`` when none does."""
    return _ROLE_OF_VERB.get(actions()[action].verb, "executor") if action in HANDLERS else ""


ROLES: Final[Mapping[str, frozenset[str]]] = {
    role: frozenset(action for action in HANDLERS if role_of(action) == role)
    for role in ("executor", *sorted(set(_ROLE_OF_VERB.values())))
}


def abilities(name: str) -> frozenset[str]:
    """Return the actions that a worker of a role, or a specialist of a name, may run; none for any other name."""
    row = teams().specialist(name)
    verbs = (*row.verbs, "look") if row else ()
    return ROLES.get(name) or frozenset(action for action in HANDLERS if actions()[action].verb in verbs)


@cache
def handler(action: str) -> Handler:
    """Return the function behind an action."""
    module, _, name = HANDLERS[action].partition(":")
    found: Handler = getattr(import_module(f"streams.workers.{module}"), name)
    return found
