"""Mutes: for how long people want to hear less of which services and patterns (SPEC C7).

| kind | nobody is told | nothing is acted on, nothing is given to a person |
|---|---|---|
| silence | x | |
| maintenance | x | x |

Times are of the broker's clock, as people gave them.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

SILENCE, MAINTENANCE = "silence", "maintenance"
MUTES_MAX: Final = 256
"""That are not over; each decision that tells anybody goes through all of them."""
MUTE_MS_MAX: Final = 31 * 86_400_000
"""How far ahead a mute may end: what is longer is a matter of the inventory."""
_NEVER_MS: Final = 1 << 62


class Mute(Struct, frozen=True, array_like=True):
    """From ``begin_ms`` until ``end_ms``, what ``service`` and ``pattern`` stand for is muted."""

    kind: str
    service: str
    pattern: str
    begin_ms: int
    end_ms: int

    def covers(self, service: str, pattern: str, at_ms: int) -> bool:
        """Tell whether a pattern of a service is muted at a time."""
        return (
            self.begin_ms <= at_ms < self.end_ms
            and stands_for(self.service, service)
            and stands_for(self.pattern, pattern)
        )


class Mutes(Struct):
    """The mutes that are not over, by the id of the decision that set them."""

    known: dict[str, Mute] = {}
    next_end_ms: int = _NEVER_MS
    """No mute is over before this."""

    def add(self, mute_id: str, mute: Mute) -> None:
        """Keep a mute until it is over."""
        self.known[mute_id] = mute
        self.next_end_ms = min(self.next_end_ms, mute.end_ms)

    def over(self, at_ms: int) -> list[str]:
        """Take out the mutes whose time is over; return their ids."""
        if at_ms < self.next_end_ms:
            return []
        ended = [mute_id for mute_id, mute in self.known.items() if mute.end_ms <= at_ms]
        for mute_id in ended:
            del self.known[mute_id]
        self.next_end_ms = min((mute.end_ms for mute in self.known.values()), default=_NEVER_MS)
        return ended

    def covering(self, kinds: frozenset[str], service: str, pattern: str, at_ms: int) -> tuple[str, Mute] | None:
        """Return the mute of some kinds that lasts longest over a pattern of a service; None when it is not muted."""
        found = [
            (mute_id, mute)
            for mute_id, mute in self.known.items()
            if mute.kind in kinds and mute.covers(service, pattern, at_ms)
        ]
        return max(found, key=lambda one: one[1].end_ms, default=None)


def stands_for(given: str, name: str) -> bool:
    """Tell whether what a person gave stands for a name: itself, all that begin so (``*`` at its end), or all."""
    return given in {"", name} or (given.endswith("*") and name.startswith(given[:-1]))
