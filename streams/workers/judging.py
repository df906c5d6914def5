"""Which limits this host has crossed, without flapping: what is over its limit is so until it is well below it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from streams.workers.readings import Reading

MARGIN_PERCENT: Final = 5.0
"""So far below its limit a value must fall, in points, before it counts as good again."""
CODE_MAX: Final = 40
NAMES_MAX: Final = 3


class Limits(Struct, frozen=True, kw_only=True):
    """Percent above which a host is in trouble (seed 002)."""

    cpu_percent: float = 90.0
    memory_percent: float = 85.0
    disk_percent: float = 90.0


class Judged(NamedTuple):
    """What a probe of the host came to: ``code`` is a word for what was seen."""

    kind: str
    ok: bool
    code: str


class Bound:
    """One value and its limit; remembers whether it was over it."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._over = False

    def crossed(self, value: float) -> bool:
        """Take the next value; say whether it counts as over the limit."""
        self._over = value > (self._limit - MARGIN_PERCENT if self._over else self._limit)
        return self._over


class Judge:
    """Judges one look after the other; each file system has a memory of its own."""

    def __init__(self, limits: Limits) -> None:
        self._limits = {"cpu": limits.cpu_percent, "memory": limits.memory_percent, "disk": limits.disk_percent}
        self._bounds: dict[tuple[str, str], Bound] = {}

    def judge(self, readings: Sequence[Reading]) -> list[Judged]:
        """Return for processors, memory and file systems whether one is over its limit; the worst is the code."""
        judged = []
        for metric, limit in self._limits.items():
            ones = [reading for reading in readings if reading.metric == metric]
            if not ones:
                continue
            over = [one for one in ones if self._bounds.setdefault((metric, one.of), Bound(limit)).crossed(one.value)]
            worst = max(over or ones, key=lambda one: one.value)
            judged.append(Judged(f"host_{metric}", not over, f"used_{worst.value:.0f} {worst.of}".strip()[:CODE_MAX]))
        return judged


def judge_processes(alive: Mapping[str, bool]) -> list[Judged]:
    """Return whether every process of Logmend that should run does; nothing where none is known."""
    dead = [name for name, runs in alive.items() if not runs]
    return [Judged("own_process", not dead, _naming("down", dead))] if alive else []


def judge_brokers(silent: Iterable[str], count: int) -> Judged:
    """Return whether all brokers accept connections."""
    refused = list(silent)
    return Judged("broker", not refused, _naming(f"silent_{len(refused)}_of_{count}", refused))


def _naming(word: str, names: Sequence[str]) -> str:
    return f"{word} {' '.join(names[:NAMES_MAX])}"[:CODE_MAX] if names else "up"
