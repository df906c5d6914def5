"""W1 on Bytewax: a dataflow of its own operators, on its Kafka connector.

*Same work* takes whole batches (``flat_map_batch``), which is how Bytewax is made fast, and larger ones than it
has by default. *As normally written* maps and filters one record after the other. Windows are Bytewax's, and so is the
sink, which waits for the acknowledgement of each batch. Nothing is kept for recovery, as by default.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import windowing
from bytewax.operators.windowing import EventClock, TumblingWindower
from bytewax.run import cli_main

from benchmarks.engines.job import WINDOW_MS, Count, Job, Match

BATCH_RECORDS = 10_000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
WAIT = timedelta(minutes=1)
"""Until a window closes behind the newest line; that of a clock, too, which runs on while a partition rests."""


def flow(job: Job) -> Dataflow:
    """Return the dataflow: read, match, count by window, write."""
    dataflow, brokers = Dataflow("w1"), [job.brokers]
    size = BATCH_RECORDS if job.how == "same" else 1_000
    lines = kop.input("lines", dataflow, brokers=brokers, topics=[job.source], tail=False, batch_size=size)
    found = (_in_batches if job.how == "same" else _one_by_one)(lines.oks, job)
    kop.output("matches", op.map("encode", found, _match), brokers=brokers, topic=job.matches)

    clock = EventClock(lambda match: datetime.fromtimestamp(match.at_ms / 1000, UTC), wait_for_system_duration=WAIT)
    windower = TumblingWindower(length=timedelta(milliseconds=WINDOW_MS), align_to=BEGAN)
    counts = windowing.count_window("counts", found, clock, windower, lambda match: f"{match.service}|{match.pattern}")
    kop.output("totals", op.map("total", counts.down, _count), brokers=brokers, topic=job.counts)
    return dataflow


def _in_batches(lines: Stream[KafkaSourceMessage[Any, bytes]], job: Job) -> Stream[Match]:
    match = job.matching()

    def matched(batch: list[KafkaSourceMessage[Any, bytes]]) -> Iterable[Match]:
        return [found for line in batch if (found := match(line.value))]

    return op.flat_map_batch("match", lines, matched)


def _one_by_one(lines: Stream[KafkaSourceMessage[Any, bytes]], job: Job) -> Stream[Match]:
    match = job.matching()
    return op.filter_map("match", lines, lambda line: match(line.value))


def _match(match: Match) -> KafkaSinkMessage[Any, bytes]:
    return KafkaSinkMessage(None, msgspec.json.encode(match))


def _count(counted: tuple[str, tuple[int, int]]) -> KafkaSinkMessage[Any, bytes]:
    """Encode a count; a window's number counts from ``BEGAN``."""
    key, (window, count) = counted
    service, _, pattern = key.partition("|")
    begin_ms = round(BEGAN.timestamp() * 1000) + window * WINDOW_MS
    return KafkaSinkMessage(None, msgspec.json.encode(Count(begin_ms, service, pattern, count)))


if __name__ == "__main__":
    cli_main(flow(Job.given()))
