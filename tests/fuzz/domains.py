"""What is fuzzed beside records: each domain makes inputs of its own, and takes or refuses every one in little time.

events          framed events of every schema, damaged: the decoder takes them, and then writes and reads them alike, or
                ``InputError``
environments    settings from odd variables: there are some, and a child would have the same, or a fault of one line
rules           rule files, damaged: they are read, checked, applied and decoded, or ``InputError``
configurations  policies and inventories, damaged: they are read, applied and decoded, or ``InputError``
facts           facts that no detect would write: the fold takes them, or ``InvariantError`` says that they can't follow
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain, count, islice
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from streams import codec
from streams.core.errors import InputError, InvariantError
from tests.fuzz import environments, files, folding, hostile

GOLDEN: Final = Path(__file__).parents[1] / "schemas" / "golden"
CPU_MS_MAX: Final = 1000.0
AGAIN: Final = 2


class Tally(Struct):
    """What became of a domain's inputs. Times are of the processor."""

    taken: int = 0
    refused: int = 0
    worst_ms: float = 0.0

    @property
    def inputs(self) -> int:
        """How many there were."""
        return self.taken + self.refused

    def add(self, other: Tally) -> None:
        """Add another one's."""
        self.taken += other.taken
        self.refused += other.refused
        self.worst_ms = max(self.worst_ms, other.worst_ms)


class Domain(Struct, frozen=True):
    """``make`` gives inputs; ``take`` says whether one is taken, and raises anything when it fails on it.

    ``share`` is how many of a chunk's inputs are of this domain.
    """

    share: int
    make: Callable[[Random], bytes]
    take: Callable[[bytes], bool]


@cache
def events() -> tuple[bytes, ...]:
    """Return one framed event of every kind and version that is recorded."""
    return tuple(bytes.fromhex("".join(path.read_text().split())) for path in sorted(GOLDEN.glob("*.hex")))


def an_event(random: Random) -> bytes:
    """Return an event of ours, mostly damaged behind its frame."""
    pick = random.choice(events())
    if random.random() < 0.1:
        return pick
    if random.random() < 0.3:
        return hostile.mutated(random, lambda again: again.choice(events()))
    return pick[:10] + hostile.mutated(random, lambda _: pick[10:])


def _event_taken(data: bytes) -> bool:
    try:
        event = codec.decode(data)
    except InputError:
        return False
    try:
        written = codec.encode(event)
    except InvariantError:
        return False
    if codec.encode(codec.decode(written)) != written:
        raise AssertionError("it is not read as it was written")
    return True


DOMAINS: Final = {
    "events": Domain(120, an_event, _event_taken),
    "environments": Domain(10, environments.an_environment, environments.taken),
    "rules": Domain(10, files.a_rule_file, files.taken),
    "configurations": Domain(10, files.a_configuration, files.taken),
}
FACTS_SHARE: Final = 50


def tried(take: Callable[[], bool], tally: Tally, tries: int = AGAIN) -> str:
    """Try an input, again when it was slow; return what is wrong, ``""`` for nothing."""
    best_ms = float("inf")
    for _ in range(tries + 1):
        began = time.thread_time_ns()
        try:
            was_taken = take()
        except Exception as error:  # noqa: BLE001 - finding any is what this is for
            return f"{type(error).__name__}: {error}"[:300]
        best_ms = min(best_ms, (time.thread_time_ns() - began) / 1e6)
        if best_ms <= CPU_MS_MAX:
            break
    tally.add(Tally(int(was_taken), int(not was_taken), best_ms))
    return "" if best_ms <= CPU_MS_MAX else "slow"


def trouble(random: Random, tallies: dict[str, Tally]) -> Iterator[tuple[str, str, bytes]]:
    """Try a chunk's inputs of all domains; yield what is wrong with some: what, the domain, the input."""
    for name, domain in DOMAINS.items():
        tally = tallies.setdefault(name, Tally())
        for _ in range(domain.share):
            data = domain.make(random)
            if problem := tried(lambda data=data, domain=domain: domain.take(data), tally):  # type: ignore[misc] # bound at once
                yield problem, name, data
    yield from _facts(random, tallies.setdefault("facts", Tally()))


def _facts(random: Random, tally: Tally) -> Iterator[tuple[str, str, bytes]]:
    """Fold facts of fleets, one after the other: a fact is tried once, for the fold remembers it."""
    fleets = (folding.facts(random, events()) for _ in count())
    fold = folding.Folding()
    for data, append_ms in islice(chain.from_iterable(fleets), FACTS_SHARE):
        if problem := tried(lambda data=data, at=append_ms: fold.take(data, at), tally, tries=0):  # type: ignore[misc] # bound at once
            yield problem, "facts", data
