"""W1 on Faust, as its documentation writes it: an agent over a topic, a windowed table, and a topic to send to.

One file serves both tables: Faust gives an agent one event a record either way. Settings are those that its
documentation names for throughput; the table is kept in memory, and its changelog has the counts.
"""

from __future__ import annotations

import sys
from typing import Any

import faust

from benchmarks.engines.job import WINDOW_MS, Job

PARTITIONS = 4


class Matched(faust.Record):
    """A matched line."""

    at_ms: int
    service: str
    pattern: str


def application(job: Job) -> Any:
    """Return the app."""
    app = faust.App(
        job.group,
        broker=f"kafka://{job.brokers}",
        store="memory://",
        datadir=job.directory,
        topic_partitions=PARTITIONS,
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=4_000,
        stream_buffer_maxsize=16_384,
        stream_wait_empty=False,
        producer_linger=0.02,
        web_enabled=False,
    )
    match = job.matching()
    lines = app.topic(job.source, value_serializer="raw", key_type=bytes)
    matches = app.topic(job.matches, value_type=Matched)
    counts = app.Table("counts", default=int, partitions=PARTITIONS).tumbling(WINDOW_MS / 1000)

    @app.agent(lines)  # type: ignore[untyped-decorator]  # Faust has no types
    async def matching(stream: Any) -> None:
        async for line in stream:
            found = match(line)
            if found:
                await matches.send(value=Matched(at_ms=found.at_ms, service=found.service, pattern=found.pattern))
                counts.relative_to(found.at_ms / 1000)[found.service, found.pattern] += 1

    return app


if __name__ == "__main__":
    given = Job.given()
    app = application(given)
    sys.argv = ["faust", "worker", "-l", "error"]
    app.main()
