"""W1 on Quix Streams: a streaming dataframe, one record at a time, for it has no operator on batches.

*Same work* takes the value's bytes and passes on only what matched; consumer and producer may take large batches, and
what is done is committed every five seconds, as by default. State is Quix's (RocksDB), without a changelog topic,
for the others keep none. *As normally written* differs in how a line is decoded and matched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quixstreams import Application

from benchmarks.engines.job import WINDOW_MS, Job, Match

Row = dict[str, Any]


def application(job: Job) -> Application:
    """Return the application: read, match, count by window, write."""
    app = Application(
        broker_address=job.brokers,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        loglevel="WARNING",
        state_dir=Path(job.directory),
        use_changelog_topics=False,
        max_partition_buffer_size=50_000,
        consumer_extra_config={"fetch.message.max.bytes": 4 * 1024 * 1024, "queued.min.messages": 200_000},
        producer_extra_config={"linger.ms": 20, "enable.idempotence": True},
    )
    match = job.matching()
    lines = app.topic(job.source, value_deserializer="bytes", key_deserializer="str")
    matches = app.topic(job.matches, value_serializer="json", key_serializer="str")
    counts = app.topic(job.counts, value_serializer="json", key_serializer="str")

    found = app.dataframe(lines).apply(match).filter(lambda match: match is not None)
    found = found.set_timestamp(lambda match, _key, _timestamp, _headers: match.at_ms)
    found.apply(_row).to_topic(matches)
    (
        found.tumbling_window(duration_ms=WINDOW_MS)
        .reduce(_add, lambda match: {match.pattern: 1})
        .final(closing_strategy="partition")
        .apply(_rows, expand=True, metadata=True)
        .to_topic(counts)
    )
    return app


def _row(match: Match) -> Row:
    return {"at_ms": match.at_ms, "service": match.service, "pattern": match.pattern}


def _add(sums: dict[str, int], match: Match) -> dict[str, int]:
    """Count a match of a service, the key of its line."""
    sums[match.pattern] = sums.get(match.pattern, 0) + 1
    return sums


def _rows(window: Row, service: str, _timestamp: int, _headers: Any) -> list[Row]:
    return [
        {"window_ms": window["start"], "service": service, "pattern": pattern, "count": count}
        for pattern, count in window["value"].items()
    ]


if __name__ == "__main__":
    application(Job.given()).run()
