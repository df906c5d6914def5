"""Topics filled again from a backup of the event log, so that every record has its old offset and its old stamp.

Decisions name facts by their offsets, the fold takes its time from their stamps, and commands name decisions. So the
topics are told to keep the producer's stamps while they are filled, and to set their own again afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from streams.core.errors import InputError
from streams.ports import TopicPartition
from streams.runtime.admin import Admin
from streams.runtime.kafka import KafkaLog, start_producer
from streams.runtime.security import client
from streams.settings import Settings

BATCHES_MAX: Final = 8
"""So many batches are on their way at most: the rest of a long log is not read before there is room for it."""


class Stored(NamedTuple):
    """A record as it was in its topic; ``append_ms`` is its stamp, in milliseconds since 1970 UTC."""

    offset: int
    append_ms: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Filling(NamedTuple):
    """What a topic is to hold: ``records`` up to offset ``end``; those below ``start`` are deleted again."""

    topic: str
    end: int
    records: Iterable[Stored] = ()
    start: int = 0


def dense(records: Iterable[Stored], end: int) -> Iterator[Stored]:
    """Yield a record for each offset below ``end``.

    Where an offset is left out the record before it stands again: of decisions and commands, whose readers drop
    repeats, only repeats are ever missing in an archive. With none before it an empty one stands there.
    """
    last = Stored(-1, 0, b"", b"")
    for record in records:
        yield from (last._replace(offset=offset) for offset in range(last.offset + 1, record.offset))
        yield record
        last = record
    yield from (last._replace(offset=offset) for offset in range(last.offset + 1, end))


def are_empty(fillings: Sequence[Filling], ends: Mapping[str, int], stamped_by_producer: Collection[str]) -> bool:
    """Tell by their ends whether topics hold nothing, and so are to be filled.

    Raises ``InputError`` when they hold something, and less than they are to hold, or still take the stamps of whoever
    fills them: a restore was killed, and what would be appended to them now is not what follows.
    """
    if not any(ends[one.topic] for one in fillings):
        return True
    wrong = [
        f"{one.topic} ends at {ends[one.topic]} and not at {one.end}" for one in fillings if ends[one.topic] < one.end
    ]
    wrong += [f"{name} has the stamps of a restore that did not end" for name in stamped_by_producer]
    if wrong:
        raise InputError(f"{wrong[0]}: delete all topics of the fleet, empty the data directory, and restore again")
    return False


async def refill(settings: Settings, fillings: Sequence[Filling]) -> None:
    """Fill topics that are empty. Raises ``InputError`` when one is not, or when it ends elsewhere than it should."""
    fillings = [filling for filling in fillings if filling.end > 0]
    names = [filling.topic for filling in fillings]
    async with Admin(settings) as admin, KafkaLog(settings) as log:
        for name in names:
            if any(await log.bounds(TopicPartition(name, 0))):
                raise InputError(f"{name} is not empty: only new topics can be filled from a backup")
        await admin.stamp(names, by_producer=True)
        try:
            for filling in fillings:
                await _fill(client(settings), filling)
        finally:
            await admin.stamp(names, by_producer=False)
        for filling in fillings:
            _, end = await log.bounds(TopicPartition(filling.topic, 0))
            if end != filling.end:
                raise InputError(f"{filling.topic} ends at {end} after it was filled, and should at {filling.end}")
        await admin.delete_records({TopicPartition(one.topic, 0): one.start for one in fillings if one.start})


async def _fill(known: Mapping[str, Any], filling: Filling) -> None:
    """Append all records of a topic in order, batch after batch."""
    producer: Any = await start_producer(known)
    try:
        sent: list[Any] = []
        batch = producer.create_batch()
        for one in dense(filling.records, filling.end):
            row = {"timestamp": one.append_ms, "key": one.key, "value": one.value, "headers": list(one.headers)}
            while batch.append(**row) is None:
                sent.append(await producer.send_batch(batch, filling.topic, partition=0))
                batch = producer.create_batch()
                if len(sent) >= BATCHES_MAX:
                    await sent.pop(0)
        sent.append(await producer.send_batch(batch, filling.topic, partition=0))
        for future in sent:
            await future
    finally:
        await producer.stop()
