"""The inventory, indexed: which entry a service has, and what it depends on."""

from __future__ import annotations

from streams.core.config import Inventory, ServiceSpec


class Fleet:
    """An index over one inventory; made anew when another is applied. Not a part of the state."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._by_name: dict[str, list[ServiceSpec]] = {}
        for spec in inventory.services:
            self._by_name.setdefault(spec.name, []).append(spec)
        self._dependencies: dict[str, frozenset[str]] = {}

    def spec(self, service: str, host: str) -> ServiceSpec | None:
        """Return a service's entry: the one on the host where it was seen, else the first of its name."""
        entries = self._by_name.get(service)
        if not entries:
            return None
        return next((spec for spec in entries if spec.host == host), entries[0])

    def dependencies(self, service: str) -> frozenset[str]:
        """Return all services that a service depends on, directly or not, by declaration."""
        found = self._dependencies.get(service)
        if found is None:
            found = self._dependencies[service] = self._reach(service)
        return found

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
        return [name for spec in self._by_name.get(service, ()) for name in spec.depends_on]

    def __len__(self) -> int:
        return len(self._by_name)
