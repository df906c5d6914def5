"""Facts that no detect would write, folded: each is taken, or refused as one that contradicts the facts before it.

They are the facts of a small fleet with odd values put in their places, encoded and decoded again, so that only what
could stand in a topic is folded. What decide would do with a fact on which the fold fails, reject it, counts as a
failure here: people have to look at it, and action halts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any, Final

import msgspec

from streams import codec
from streams.catalogue import strategies
from streams.codec import decode_fact, encode
from streams.core.errors import InputError, InvariantError
from streams.core.events import Fact, InboxEvent, Message, Slice
from streams.core.fold import Fold
from streams.ports import TopicPartition
from tests.analytics.history import wander

FACTS_MAX: Final = 80
HOUR_MS: Final = 3_600_000
STORIES: Final = 4
KEPT: Final = frozenset({"term", "from_offset", "to_offset", "source", "partition", "nonce", "body", "sha256", "kind"})
"""What is changed seldom: with it wrong, a fact is refused before anything is done with it."""
ODD_TEXTS: Final = (
    "",
    " ",
    "\x00",
    "a" * 3_000,
    "é💥",
    "shop",
    "nobody",
    "critical",
    "info",
    "process_crash",
    "no_such",
    "1-0-0",
)
ODD_INTEGERS: Final = (0, 1, -1, 2**31, 2**53 + 1, 2**62, 2**63 - 1, -(2**63), 1_800_000_000_000, 10**9)
ODD_NUMBERS: Final = (0.0, -0.0, 1.0, -1.0, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan, 0.5, 1e9)
ODD: Final[dict[type, tuple[Any, ...]]] = {
    bool: (False, True), str: ODD_TEXTS, int: ODD_INTEGERS, float: ODD_NUMBERS,
}  # fmt: skip


@cache
def _stories() -> tuple[tuple[tuple[Fact, int], ...], ...]:
    """Return facts with their append times, of some small fleets."""
    found = []
    for seed in range(STORIES):
        history = wander(seed, FACTS_MAX)
        records = history.log.records[TopicPartition(history.topics.facts, 0)]
        found.append(tuple((decode_fact(record.value or b""), record.timestamp) for record in records))
    return tuple(found)


@cache
def inbox_events(golden: tuple[bytes, ...]) -> tuple[InboxEvent, ...]:
    """Return an inbox event of each kind."""
    found: list[InboxEvent] = []
    for data in golden:
        try:
            found.append(codec.decode_inbox(data))
        except InputError:
            continue
    return tuple(found)


def bent(random: Random, value: Any, share: float, name: str = "") -> Any:
    """Return a value in which some leaves are replaced by odd ones of their kind."""
    if isinstance(value, msgspec.Struct):
        fields = {one: bent(random, getattr(value, one), share, one) for one in value.__struct_fields__}
        return type(value)(**fields)
    if isinstance(value, tuple):
        kept = [bent(random, one, share) for one in value]
        if kept and random.random() < share:
            kept += [random.choice(kept)] * random.choice((1, 3, 40))
        return tuple(kept)
    if random.random() >= (share / 20 if name in KEPT else share):
        return value
    return random.choice(ODD.get(type(value), (value,)))


def facts(random: Random, golden: tuple[bytes, ...]) -> Iterator[tuple[bytes, int]]:
    """Yield the bytes of a fleet's facts, some of them odd, each with its append time."""
    share = random.choice((0.0, 0.02, 0.1, 0.4))
    for fact, append_ms in random.choice(_stories()):
        odd = fact
        if isinstance(fact, Slice) and random.random() < 0.3:
            event = bent(random, random.choice(inbox_events(golden)), random.choice((0.0, share)))
            said = Message(offset=fact.from_offset, append_ms=append_ms, event=event)
            odd = msgspec.structs.replace(fact, messages=(*fact.messages, said))
        try:
            data = encode(bent(random, odd, share))
        except InvariantError:
            continue
        yield data, append_ms if random.random() < 0.9 else append_ms + random.choice((-1, 1)) * HOUR_MS


class Folding:
    """A fold that facts are put to, one after the other; a new one when it stops."""

    def __init__(self) -> None:
        self._begin()

    def take(self, data: bytes, append_ms: int) -> bool:
        """Fold a fact; False when it is none, contradicts those before it, or leads to what can't be recorded.

        In the last two cases everything begins anew: there, people must look at the log, and here decide rejects it.
        """
        try:
            decisions = self._fold.apply(decode_fact(data), self._offset, append_ms)
        except InputError:
            return False
        except (InvariantError, OverflowError):
            self._begin()
            return False
        except Exception:
            self._begin()
            raise
        self._offset += 1
        try:
            written = [encode(decision) for decision in decisions]
        except InvariantError:
            self._begin()
            return False
        for one in written:
            codec.decode_decision(one)
        return True

    def _begin(self) -> None:
        self._fold = Fold.new(strategies())
        self._offset = 0
