"""The inventory, indexed: which entry a service has, and what it depends on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct

from streams.core.config import Inventory
from streams.core.inventory import ServiceSpec, may_act
from streams.core.num import stored


class Reach(Struct, frozen=True, kw_only=True):
    """How far trouble of a service reaches, by the inventory.

    ``dependents`` depend on it, directly or not; ``neighbours`` share its host. The shares, 0..1, are of it and its
    dependents together: ``users`` of the services that nobody depends on, which are what users see; ``business`` of the
    owners, all when one of them is protected; ``technology`` of all services.
    """

    dependents: int = 0
    neighbours: int = 0
    users: float = 0.0
    business: float = 0.0
    technology: float = 0.0


class Fleet:
    """An index over one inventory; made anew when another is applied. Not a part of the state."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._by_name = {spec.name: spec for spec in inventory.services}
        self._depends_on = {spec.name: spec.depends_on for spec in inventory.services}
        self._dependencies: dict[str, frozenset[str]] = {}
        self._depended_on = frozenset(name for spec in inventory.services for name in spec.depends_on)
        self._dependents: dict[str, list[str]] = {}
        for spec in inventory.services:
            for name in spec.depends_on:
                self._dependents.setdefault(name, []).append(spec.name)
        self._on_host = Counter(spec.host for spec in inventory.services)
        self._owners = frozenset(spec.owner for spec in inventory.services)
        self._seen = sum(name not in self._depended_on for name in self._by_name)
        self._reaches: dict[str, Reach] = {}

    def spec(self, service: str) -> ServiceSpec | None:
        """Return a service's entry, None for one that is only observed."""
        return self._by_name.get(service)

    def dependencies(self, service: str) -> frozenset[str]:
        """Return all services that a service depends on, directly or not, by declaration."""
        found = self._dependencies.get(service)
        if found is None:
            found = self._dependencies[service] = _closure(service, self._depends_on)
        return found

    def is_depended_on(self, service: str) -> bool:
        """Tell whether any service declares that it depends on this one."""
        return service in self._depended_on

    def is_curable(self, service: str) -> bool:
        """Tell whether a service may be acted on at all, now or when a person approves."""
        spec = self.spec(service)
        return spec is not None and may_act(spec)

    def has_curable_dependency(self, service: str) -> bool:
        """Tell whether a service depends, directly or not, on one that may be acted on."""
        return any(map(self.is_curable, self.dependencies(service)))

    def reach(self, service: str) -> Reach:
        """Return how far trouble of a service reaches; nowhere when the inventory does not have it."""
        found = self._reaches.get(service)
        if found is None:
            found = self._reaches[service] = self._reach_of(service)
        return found

    def _reach_of(self, service: str) -> Reach:
        spec = self._by_name.get(service)
        if spec is None:
            return Reach()
        dependents = _closure(service, self._dependents)
        reached = [self._by_name[name] for name in (service, *dependents)]
        seen = sum(one.name not in self._depended_on for one in reached)
        protected = any(one.protected for one in reached)
        return Reach(
            dependents=len(dependents),
            neighbours=self._on_host[spec.host] - 1,
            users=stored(seen / self._seen),
            business=1.0 if protected else stored(len({one.owner for one in reached}) / len(self._owners)),
            technology=stored(len(reached) / len(self._by_name)),
        )

    def __len__(self) -> int:
        return len(self._by_name)


def _closure(service: str, direct: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Return what is reached from a service, itself left out."""
    found: set[str] = set()
    left = list(direct.get(service, ()))
    while left:
        name = left.pop()
        if name not in found and name != service:
            found.add(name)
            left.extend(direct.get(name, ()))
    return frozenset(found)
