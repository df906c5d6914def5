"""The log of facts as detect sees it: appended to, and followed to its end."""

from __future__ import annotations

from collections.abc import Sequence

from streams import telemetry
from streams.codec import decode_fact, encode
from streams.core.directory import Directory
from streams.core.errors import InputError, InvariantError
from streams.core.events import Fact, Ticked
from streams.core.slices import Holding, Verdict
from streams.ports import Log, Outgoing, Record, TopicPartition


class Facts:
    """A directory that knows every fact up to our last append.

    While nobody else writes, our own facts are taken into account without reading them back; an acknowledged offset
    beyond the next one shows that there is more to read.
    """

    def __init__(self, log: Log, where: TopicPartition, directory: Directory) -> None:
        self.directory = directory
        self._log = log
        self._where = where

    def holding(self, source: TopicPartition) -> Holding:
        """Return what is known of a source partition."""
        return self.directory.ledger.holding(*source)

    async def append(self, facts: Sequence[Fact], encoded: Sequence[bytes] = ()) -> None:
        """Append facts and take them into account as readers will: together with whatever stands between them.

        ``encoded`` are their bytes, when the caller has them already.
        """
        if not facts:
            return
        data = encoded or [encode(fact) for fact in facts]
        out = [Outgoing(self._where.topic, value, _key(fact)) for fact, value in zip(facts, data, strict=True)]
        offsets = await self._log.append(out)
        first = self.directory.facts_offset
        if list(offsets) != list(range(first, first + len(facts))):
            await self.follow()
            return
        for fact, offset in zip(facts, offsets, strict=True):
            self.directory.take(fact, offset)

    async def follow(self) -> None:
        """Read the facts to their end; ``InvariantError`` when some are missing."""
        earliest, end = await self._log.bounds(self._where)
        if self.directory.facts_offset < earliest:
            raise InvariantError(
                f"{self._where.topic} begins at {earliest}, and no snapshot reaches there: run logmend restore"
            )
        while (start := self.directory.facts_offset) < end:
            records = await self._log.read(self._where, start, end)
            if not records:
                raise InvariantError(f"{self._where.topic}: facts from {start} on are missing")
            for record in records:
                self._hear(record)

    def _hear(self, record: Record) -> None:
        try:
            fact = decode_fact(record.value or b"")
        except InputError:
            self.directory.facts_offset = record.offset + 1  # decide rejects it; it counts for nobody
            return
        verdict = self.directory.take(fact, record.offset)
        if verdict is not Verdict.ACCEPTED:
            telemetry.fact_dropped(verdict.value)


def _key(fact: Fact) -> bytes:
    return b"" if isinstance(fact, Ticked) else f"{fact.source}/{fact.partition}".encode()
