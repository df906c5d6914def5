"""Which specialists there are in the fleet, and what they hold together."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from streams.core.num import stored

HELD_MAX: Final = 999
"""Numbers of a specialist's name have three digits."""
RELEASED_AFTER_MS: Final = 10_000
"""Who was let go is gone after this long, even when its pool does not say so."""


class Held(Struct, array_like=True):
    """What one specialist holds on its host, for which plan of which incident; ``until_ms`` is ``now_ms``."""

    plan: str
    incident: str
    host: str
    until_ms: int
    cpu: float
    memory_mb: int
    bandwidth_mbps: int


class Needs(Struct, frozen=True):
    """How many specialists, and what they hold together."""

    specialists: int = 0
    cpu: float = 0.0
    memory_mb: int = 0
    bandwidth_mbps: int = 0

    def and_more(self, cpu: float, memory_mb: int, bandwidth_mbps: int) -> Needs:
        """Return the needs of one specialist more."""
        return Needs(
            self.specialists + 1,
            stored(self.cpu + cpu),
            self.memory_mb + memory_mb,
            self.bandwidth_mbps + bandwidth_mbps,
        )


class Roster(Struct):
    """All specialists that were asked for and are not known to be gone, by name."""

    held: dict[str, Held] = {}

    def needs(self, now_ms: int) -> Needs:
        """Return what is held; who should be gone by now is forgotten."""
        self.held = {name: one for name, one in self.held.items() if now_ms < one.until_ms}
        needs = Needs()
        for one in self.held.values():
            needs = needs.and_more(one.cpu, one.memory_mb, one.bandwidth_mbps)
        return needs

    def name_for(self, specialist: str) -> str:
        """Return a specialist's name with the lowest free number."""
        numbers = (f"{specialist}-{number:03d}" for number in range(1, HELD_MAX + 2))
        return next(name for name in numbers if name not in self.held)

    def keep(self, name: str, plan: str, until_ms: int) -> None:
        """Note that a specialist that was not told to go stays until ``until_ms``."""
        one = self.held.get(name)
        if one is not None and one.plan == plan:
            one.until_ms = max(one.until_ms, until_ms + RELEASED_AFTER_MS)

    def let_go(self, name: str, plan: str, now_ms: int) -> None:
        """Note that a specialist was told to go."""
        one = self.held.get(name)
        if one is not None and one.plan == plan:
            one.until_ms = min(one.until_ms, now_ms + RELEASED_AFTER_MS)

    def free(self, name: str, plan: str) -> None:
        """Note that a specialist is gone."""
        one = self.held.get(name)
        if one is not None and one.plan == plan:
            del self.held[name]
