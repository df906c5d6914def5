"""One chunk of records: made from its seed, cut as detect cuts a fetch, checked, and timed.

Every chunk begins with a slicer of its own, so that a seed and a chunk's number are all that it takes to see it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final

from msgspec import Struct

from streams import codec
from streams.core.errors import InputError
from streams.ingest import matcher
from streams.ingest.slicer import Cut, Slicer
from streams.topics import Topics
from tests.fuzz import domains, hostile, shapes
from tests.ingest.given import APPEND_MS, Given

CHUNK_RECORDS: Final = 300
CHUNK_INPUTS: Final = 500
"""Records and inputs of the other domains."""
BATCH_RECORDS_MAX: Final = 24
CPU_MS_MAX: Final = 100.0
LOOK_CPU_MS: Final = 25.0
"""A batch that takes longer, and longer than the worst record so far, is tried record by record to know the worst."""
AGAIN: Final = 3
TOPICS: Final = Topics()

MakeSlicer = Callable[[], Slicer]


class Failure(Struct, frozen=True, kw_only=True):
    """What was wrong with a record, and the record itself, so that it can be tried again."""

    problem: str
    seed: int
    chunk: int
    cpu_ms: float
    topic: str
    value: bytes | None
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int
    domain: str = ""
    """What it was an input of, when it is no record."""


class Done(Struct, kw_only=True):
    """What a chunk came to."""

    records: int = 0
    lines: int = 0
    rejects: int = 0
    value_bytes: int = 0
    cpu_ms: float = 0.0
    worst_ms: float = 0.0
    failures: list[Failure] = []
    tallies: dict[str, domains.Tally] = {}
    """What became of the inputs of other domains."""


def shipped_slicer() -> Slicer:
    """Return a new slicer with the shipped rules."""
    return Slicer(matcher.shipped(), TOPICS)


def an_event(random: Random) -> bytes:
    """Return an event of ours, mostly damaged."""
    pick = random.choice(domains.events())
    return pick if random.random() < 0.2 else hostile.mutated(random, lambda again: again.choice(domains.events()))


def a_value(random: Random, topic: str) -> bytes | None:
    """Return a record's value: good, damaged or hostile."""
    if topic in TOPICS.inboxes:
        return an_event(random)
    roll = random.random()
    pool = shapes.METRIC_SHAPES if topic in TOPICS.metrics and random.random() < 0.7 else shapes.LOG_SHAPES
    good = random.choice(pool)
    if roll < 0.45:
        return good(random)
    if roll < 0.85:
        return hostile.mutated(random, good)
    if roll < 0.99:
        return random.choice(hostile.HOSTILE)(random)
    return random.choice([None, b"", b"\n", b"\x00", b" ", b"{}", b"[]", b"null", b'""'])


def a_batch(random: Random, offset: int) -> list[Given]:
    """Return records of one partition from ``offset`` on, with holes."""
    topic = random.choice([*TOPICS.logs * 6, *TOPICS.metrics * 2, TOPICS.inbox_people])
    batch = []
    for _ in range(random.randrange(1, BATCH_RECORDS_MAX + 1)):
        offset += random.choice([1, 1, 1, 1, 2, 5])
        batch.append(
            Given(
                a_value(random, topic),
                offset=offset,
                key=random.choice([None, None, b"k", b"\xff", b"pod-7c9d8f5b6d-x2x1z"]),
                headers=shapes.headers(random),
                timestamp=random.choice([APPEND_MS] * 20 + [0, -1, 2**62]),
                topic=topic,
            )
        )
    return batch


def chunk(
    seed: int, number: int, records: int = CHUNK_RECORDS, make: MakeSlicer = shipped_slicer, worst_ms: float = 0.0
) -> Done:
    """Make a chunk's records and try them; what goes wrong is in the result, nothing is raised.

    ``worst_ms`` is the time of the worst record of the chunks before.
    """
    random = Random(f"{seed}/{number}")
    done = Done(failures=[], tallies={}, worst_ms=worst_ms)
    slicer = make()
    ends: dict[str, int] = {}
    while done.records < records:
        batch = a_batch(random, random.randrange(1000) if not ends else max(ends.values()))
        start = ends.get(batch[0].topic, batch[0].offset)
        _try(batch, start, slicer, make, done, (seed, number))
        ends[batch[0].topic] = batch[-1].offset + 1
        done.records += len(batch)
    for problem, name, data in domains.trouble(random, done.tallies):
        done.failures.append(_of_domain(problem, name, data, (seed, number)))
    return done


def _of_domain(problem: str, name: str, data: bytes, where: tuple[int, int]) -> Failure:
    return Failure(
        problem=f"{name}: {problem}",
        seed=where[0],
        chunk=where[1],
        cpu_ms=0.0,
        topic="",
        domain=name,
        value=data,
        key=None,
        headers=(),
        timestamp=0,
    )


def _try(
    batch: Sequence[Given], start: int, slicer: Slicer, make: MakeSlicer, done: Done, where: tuple[int, int]
) -> None:
    problem, cpu_ms = _cut(batch, start, slicer, done)
    done.cpu_ms += cpu_ms
    if not problem and cpu_ms <= min(max(LOOK_CPU_MS, done.worst_ms), CPU_MS_MAX):
        done.worst_ms = max(done.worst_ms, cpu_ms / len(batch))
        return
    found = list(_alone(batch, make, done, where))
    if problem and not any(failure.problem != "slow" for failure in found):  # it takes all of them together
        found += [_failure(f"together: {problem}", record, cpu_ms, where) for record in batch]
    done.failures += found


def _alone(batch: Sequence[Given], make: MakeSlicer, done: Done, where: tuple[int, int]) -> Iterator[Failure]:
    """Try each record by itself; one is slow only if it is slow every time."""
    for record in batch:
        problem, cpu_ms = _patiently(record, make)
        done.worst_ms = max(done.worst_ms, cpu_ms)
        if problem or cpu_ms > CPU_MS_MAX:
            yield _failure(problem or "slow", record, cpu_ms, where)


def _patiently(record: Given, make: MakeSlicer) -> tuple[str, float]:
    """Cut a record alone, again when it was slow; return what is wrong with it and the least time that it took."""
    problem, cpu_ms = _cut([record], record.offset, make(), Done())
    for _ in range(AGAIN):
        if problem or cpu_ms <= CPU_MS_MAX:
            break
        cpu_ms = min(cpu_ms, _cut([record], record.offset, make(), Done())[1])
    return problem, cpu_ms


def _cut(batch: Sequence[Given], start: int, slicer: Slicer, done: Done) -> tuple[str, float]:
    """Cut and encode a batch; return what is wrong and the processor time that it took."""
    began = time.thread_time_ns()
    try:
        cut = slicer.cut(batch[0].topic, 0, 1, batch, start)
        facts = [codec.encode(piece) for piece in cut.slices]
        evidence = [codec.encode(one) for one in cut.evidence]
    except Exception as error:  # noqa: BLE001 - finding any is what this is for
        return f"{type(error).__name__}: {error}"[:300], (time.thread_time_ns() - began) / 1e6
    cpu_ms = (time.thread_time_ns() - began) / 1e6
    done.lines += cut.lines
    done.rejects += len(cut.dead)
    done.value_bytes += sum(len(record.value or b"") for record in batch)
    return _wrong(batch, start, cut, facts, evidence), cpu_ms


def _wrong(batch: Sequence[Given], start: int, cut: Cut, facts: list[bytes], evidence: list[bytes]) -> str:
    """Return what is not as promised: everything accounted for once, slices joined, and all of it readable again."""
    slices = cut.slices
    places = {place.offset for piece in slices for found in piece.detections for place in found.lines}
    promises = {
        "slices do not join": [piece.from_offset for piece in slices] == [start, *(s.to_offset for s in slices[:-1])],
        "the last slice does not end behind the last record": slices[-1].to_offset == batch[-1].offset + 1,
        "tallies are not the lines": all(sum(t.count for t in piece.tallies) == piece.lines for piece in slices),
        "rejects are not the dead letters": [one.offset for piece in slices for one in piece.rejects]
        == [record.offset for record, _ in cut.dead],
        "a slice is not what was encoded": [codec.decode(data) for data in facts] == list(slices),
        "evidence is not what was encoded": [codec.decode(data) for data in evidence] == list(cut.evidence),
        "a detection names a line that is not there": not places or max(places) <= batch[-1].offset,
    }
    return next((problem for problem, kept in promises.items() if not kept), "") or _undecodable(batch)


def _undecodable(batch: Sequence[Given]) -> str:
    """Return what another error than ``InputError`` an event's decoder raises."""
    for record in batch:
        try:
            codec.decode(record.value or b"")
        except InputError:
            continue
        except Exception as error:  # noqa: BLE001 - as above
            return f"decode: {type(error).__name__}: {error}"[:300]
    return ""


def _failure(problem: str, record: Given, cpu_ms: float, where: tuple[int, int]) -> Failure:
    return Failure(
        problem=problem,
        seed=where[0],
        chunk=where[1],
        cpu_ms=round(cpu_ms, 1),
        topic=record.topic,
        value=record.value,
        key=record.key,
        headers=record.headers,
        timestamp=record.timestamp,
    )


def _again(failure: Failure) -> tuple[str, float]:
    """Try an input of a domain once more; a fact with all of its chunk, for the fold remembers those before it."""
    domain = domains.DOMAINS.get(failure.domain)
    if domain is None:
        found = [one for one in chunk(failure.seed, failure.chunk).failures if one.value == failure.value]
        return (found[0].problem if found else ""), 0.0
    tally = domains.Tally()
    return domains.tried(lambda: domain.take(failure.value or b""), tally), tally.worst_ms


def again(failure: Failure, make: MakeSlicer = shipped_slicer) -> tuple[str, float]:
    """Try a record that failed once more; return what is wrong with it and its processor time in milliseconds."""
    if failure.domain:
        return _again(failure)
    record = Given(
        failure.value, key=failure.key, headers=failure.headers, timestamp=failure.timestamp, topic=failure.topic
    )
    problem, cpu_ms = _patiently(record, make)
    return problem or ("slow" if cpu_ms > CPU_MS_MAX else ""), cpu_ms
