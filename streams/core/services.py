"""What the fold remembers of a live service: under 1 KB each, the longest silent leave first."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from streams.core.bursts import Burst
from streams.core.config import SERVICES_MAX
from streams.core.events import ProbeReported

SOURCES_PER_SERVICE_MAX: Final = 8


class Service(Struct):
    """Signs of life of one service. Times of event (``*_at_ms``); 0 = never."""

    normal_at_ms: int = 0
    """Latest line of severity info that matched no pattern."""
    probe_at_ms: int = 0
    probe_ok: bool = True
    probe_failures: dict[str, int] = {}
    """Failed probes in a row, by kind of probe."""
    sources: list[str] = []
    bursts: dict[str, Burst] = {}
    """How fast lines come, by pattern; only of patterns that a burst raises."""

    def heard_in(self, source: str) -> None:
        """Remember a source partition in which the service speaks."""
        if source not in self.sources and len(self.sources) < SOURCES_PER_SERVICE_MAX:
            self.sources.append(source)

    def count(self, pattern: str, lines: int, at_ms: int, window_ms: int) -> None:
        """Count lines of a pattern that a burst raises."""
        self.bursts.setdefault(pattern, Burst()).add(at_ms, lines, window_ms)

    def probed(self, probe: ProbeReported, at_ms: int) -> int:
        """Take a probe of ``at_ms`` into account; return how many of its kind have failed in a row."""
        failures = 0 if probe.ok else self.probe_failures.get(probe.kind, 0) + 1
        self.probe_failures[probe.kind] = failures
        self.probe_ok = not any(self.probe_failures.values())
        self.probe_at_ms = max(self.probe_at_ms, at_ms)
        return failures

    def alive_since(self, at_ms: int) -> bool:
        """Tell whether there is positive evidence from after ``at_ms``: a green probe, or else a normal line."""
        if self.probe_failures:
            return self.probe_ok and self.probe_at_ms > at_ms
        return self.normal_at_ms > at_ms


class Services(Struct):
    """Live services by name, the longest silent first."""

    live: dict[str, Service] = {}

    def touch(self, name: str) -> Service:
        """Return the service's entry, made if need be, and move it to the end of the order."""
        entry = self.live.pop(name, None) or Service()
        self.live[name] = entry
        return entry

    def burst_lines(self, name: str, pattern: str) -> int:
        """Return how many lines of a pattern the newest window of a service holds; 0 when nothing is known of it."""
        entry = self.live.get(name)
        return entry.bursts[pattern].lines() if entry and pattern in entry.bursts else 0

    def forget_probes(self) -> None:
        """Begin to count probes anew: another inventory has other probes."""
        for entry in self.live.values():
            entry.probe_failures, entry.probe_ok = {}, True

    def evict(self) -> str | None:
        """Take out the longest silent service when there are too many; return its name."""
        if len(self.live) <= SERVICES_MAX:
            return None
        name = next(iter(self.live))
        del self.live[name]
        return name
