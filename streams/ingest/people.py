"""What people say, on its way into their inbox: redacted, short enough, with its long text kept beside it.

The command line and the web say everything through ``append``, so that the same is refused, replaced and cut.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from streams.codec import encode
from streams.core.beside import Evidence
from streams.core.events import InboxEvent
from streams.ingest.redact import Redactor
from streams.ports import Log, Outgoing
from streams.topics import Topics

TEXT_CHARACTERS_MAX: Final = 500
"""Of an author, a reason, an assignee; half of what detect takes from an inbox."""
_WRITTEN: Final = ("author", "reason", "assignee")
"""Fields that people write freely; all others are names and ids."""


class Said(NamedTuple):
    """What somebody says; ``text`` is kept beside it as evidence that can be erased (``""``: nothing is)."""

    event: InboxEvent
    text: str = ""


def fit(event: InboxEvent, redactor: Redactor) -> InboxEvent:
    """Return an event without secrets in what was written freely, cut to what an inbox takes."""
    written = {
        name: redactor.text(getattr(event, name))[:TEXT_CHARACTERS_MAX]
        for name in _WRITTEN
        if name in event.__struct_fields__
    }
    return msgspec.structs.replace(event, **written)


def sha256_of(text: str) -> str:
    """Return the hash by which an event names its text; ``""`` of none."""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


async def append(log: Log, topics: Topics, said: Sequence[Said], redactor: Redactor) -> Sequence[int]:
    """Append what people say, in order; return the offsets in their inbox once all replicas have it."""
    inbox = topics.inbox_people
    offsets = await log.append([Outgoing(inbox, encode(fit(one.event, redactor)), b"") for one in said])
    texts = [
        Outgoing(topics.evidence, encode(_evidence(inbox, offset, redactor.text(one.text))), b"")
        for one, offset in zip(said, offsets, strict=True)
        if one.text and offset >= 0
    ]
    if texts:
        await log.append(texts)
    return offsets


def _evidence(inbox: str, offset: int, text: str) -> Evidence:
    return Evidence(
        topic=inbox,
        partition=0,
        offset=offset,
        index=0,
        service="",
        pattern="",
        severity="",
        at_ms=time.time_ns() // 1_000_000,
        text=text,
    )
