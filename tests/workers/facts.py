"""Facts as detect would say them, for a pool on a real broker."""

from __future__ import annotations

from streams.codec import encode
from streams.core.config import Inventory, canonical, sha256
from streams.core.events import ConfigApplied, InboxEvent, Message, Slice, Took
from streams.core.inventory import ServiceSpec
from streams.ports import Log, Outgoing
from streams.settings import Settings
from tests.workers.kit import now_ms


class Facts:
    """Says inbox events as facts: people's, or those of the source that is named."""

    def __init__(self, log: Log, settings: Settings, source: str = "") -> None:
        self._log = log
        self._facts = settings.topics.facts
        self._source = source or settings.topics.inbox_people
        self._next = 0

    async def say(self, event: InboxEvent) -> None:
        """Append one event in a slice of its own."""
        if not self._next:
            took = Took(source=self._source, partition=0, term=1, nonce="n", owner="test")
            await self._log.append([Outgoing(self._facts, encode(took))])
        said = Slice(
            source=self._source,
            partition=0,
            term=1,
            from_offset=self._next,
            to_offset=self._next + 1,
            rules_sha256="",
            lines=1,
            at_max_ms=0,
            append_max_ms=now_ms(),
            messages=(Message(offset=self._next, append_ms=now_ms(), event=event),),
        )
        self._next += 1
        await self._log.append([Outgoing(self._facts, encode(said))])


def inventory(*services: ServiceSpec) -> ConfigApplied:
    """Return an inventory as somebody applies it."""
    body = canonical(Inventory(services=services))
    return ConfigApplied(kind="inventory", sha256=sha256(body), author="ann", body=body)
