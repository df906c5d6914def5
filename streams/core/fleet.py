"""The inventory, indexed: which entry a service has, and what it depends on."""

from __future__ import annotations

from streams.core.config import Inventory
from streams.core.inventory import ServiceSpec, may_act


class Fleet:
    """An index over one inventory; made anew when another is applied. Not a part of the state."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._by_name = {spec.name: spec for spec in inventory.services}
        self._dependencies: dict[str, frozenset[str]] = {}
        self._depended_on = frozenset(name for spec in inventory.services for name in spec.depends_on)

    def spec(self, service: str) -> ServiceSpec | None:
        """Return a service's entry, None for one that is only observed."""
        return self._by_name.get(service)

    def dependencies(self, service: str) -> frozenset[str]:
        """Return all services that a service depends on, directly or not, by declaration."""
        found = self._dependencies.get(service)
        if found is None:
            found = self._dependencies[service] = self._reach(service)
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

    def _reach(self, service: str) -> frozenset[str]:
        found: set[str] = set()
        left = self._direct(service)
        while left:
            name = left.pop()
            if name not in found and name != service:
                found.add(name)
                left.extend(self._direct(name))
        return frozenset(found)

    def _direct(self, service: str) -> list[str]:
        spec = self._by_name.get(service)
        return list(spec.depends_on) if spec else []

    def __len__(self) -> int:
        return len(self._by_name)
