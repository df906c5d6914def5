"""The log of facts as detect sees it: appended to, and followed to its end."""

from __future__ import annotations

from collections.abc import Sequence

from streams.codec import encode
from streams.core.directory import Directory
from streams.core.epochs import EpochChanged
from streams.core.events import Fact, Ticked
from streams.core.slices import Holding
from streams.ports import Log, Outgoing, TopicPartition
from streams.runtime.view import FactsView
from streams.topics import Topics


class Facts:
    """A view of the facts that knows every one up to our last append.

    While nobody else writes, our own facts are taken into account without reading them back; an acknowledged offset
    beyond the next one shows that there is more to read.
    """

    def __init__(self, log: Log, topics: Topics, directory: Directory) -> None:
        self._log = log
        self._topic = topics.facts
        self._view = FactsView(log, topics, directory)

    @property
    def directory(self) -> Directory:
        """What the facts say so far."""
        return self._view.directory

    def holding(self, source: TopicPartition) -> Holding:
        """Return what is known of a source partition."""
        return self.directory.ledger.holding(*source)

    async def follow(self) -> None:
        """Read the facts to their end; ``InvariantError`` when some are missing."""
        await self._view.refresh()

    async def append(self, facts: Sequence[Fact], encoded: Sequence[bytes] = ()) -> None:
        """Append facts and take them into account as readers will: together with whatever stands between them.

        ``encoded`` are their bytes, when the caller has them already.
        """
        if not facts:
            return
        data = encoded or [encode(fact) for fact in facts]
        out = [Outgoing(self._topic, value, _key(fact)) for fact, value in zip(facts, data, strict=True)]
        offsets = await self._log.append(out)
        first = self.directory.facts_offset
        if list(offsets) != list(range(first, first + len(facts))):
            await self.follow()
            return
        for fact, offset in zip(facts, offsets, strict=True):
            self.directory.take(fact, offset)


def _key(fact: Fact) -> bytes:
    return b"" if isinstance(fact, Ticked | EpochChanged) else f"{fact.source}/{fact.partition}".encode()
