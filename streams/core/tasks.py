"""Tasks that people gave to pools and that have not ended; and which pools there are (SPEC E4, X1)."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

TASKS_OPEN_MAX: Final = 5_000
TASKS_TOLD_MAX: Final = 10_000
"""Ids that are remembered, so that none is taken twice."""
HOSTS_MAX: Final = 1_000
"""Hosts that are known; another is not heard while so many speak."""
HEARD_MS: Final = 600_000
"""A host that said nothing for this long is nobody to give something to that any pool could do."""


class Given(Struct, array_like=True):
    """A task under way: what it is called, its service if it has one, whose pool it went to, when it is overdue."""

    task_id: str
    service: str
    host: str
    deadline_ms: int


class Tasks(Struct):
    """Tasks under way by the id of their command, in the order in which they were given."""

    open: dict[str, Given] = {}
    told: dict[str, None] = {}
    hosts: dict[str, int] = {}
    """When (``now_ms``) a host's pool was heard last."""
    turns: int = 0
    """Tasks for anybody so far: hosts take turns."""

    def heard(self, host: str, now_ms: int) -> None:
        """Note that a host spoke; of many, those that are silent make room for it."""
        if host not in self.hosts and len(self.hosts) >= HOSTS_MAX:
            self.hosts = {name: self.hosts[name] for name in self.present(now_ms)}
        if host in self.hosts or len(self.hosts) < HOSTS_MAX:
            self.hosts[host] = now_ms

    def present(self, now_ms: int) -> list[str]:
        """Return the hosts that spoke within the last minutes, by name."""
        return sorted(host for host, heard_ms in self.hosts.items() if now_ms - heard_ms < HEARD_MS)

    def take(self, task_id: str) -> bool:
        """Remember a task's id; False when it was taken before."""
        if task_id in self.told:
            return False
        self.told[task_id] = None
        if len(self.told) > TASKS_TOLD_MAX:
            del self.told[next(iter(self.told))]
        return True

    def under_way(self) -> frozenset[str]:
        """Return the services that a task acts on now."""
        return frozenset(given.service for given in self.open.values() if given.service)
