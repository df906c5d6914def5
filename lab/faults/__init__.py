"""Faults, one for each pattern of the catalogue: services really stop doing their work, and show it as real ones do."""

from __future__ import annotations

from typing import Final

from lab.faults.base import Fault, FaultError
from lab.faults.limits import DatabaseLock, Descriptors, Leak, Places, Sessions
from lab.faults.network import Dependency, NoAnswer, NoName, NoRoute, Refused, Slow
from lab.faults.processes import BrokenConfiguration, ContainerKilled, Crash, Hang, MissingModule, PortTaken
from lab.faults.security import Credential, Expired, Intruder, Permission
from lab.faults.storage import Corruption, DiskFailure, DiskFull
from lab.site import Site

__all__ = ["DEMO_FAULTS", "FAULTS", "Fault", "FaultError", "make"]

_DEMO: Final[tuple[type[Fault], ...]] = (Crash, Hang, PortTaken, DatabaseLock, Leak, BrokenConfiguration)
_MORE: Final[tuple[type[Fault], ...]] = (
    *(Refused, NoAnswer, NoRoute, NoName, Dependency, Slow),
    *(Sessions, Descriptors, Places, DiskFull, DiskFailure, Corruption),
    *(Permission, Credential, Expired, Intruder, MissingModule, ContainerKilled),
)
FAULTS: Final[dict[str, type[Fault]]] = {fault.name: fault for fault in (*_DEMO, *_MORE)}
DEMO_FAULTS: Final = tuple(fault.name for fault in _DEMO)


def make(name: str, site: Site) -> Fault:
    """Return the fault of a name; ``FaultError`` names those that there are."""
    try:
        return FAULTS[name](site)
    except KeyError:
        raise FaultError(f"no fault is called {name!r}; there are {', '.join(FAULTS)}") from None
