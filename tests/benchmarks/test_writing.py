"""The benchmark of writing writes all there is, and counts a row as often as it is written."""

from __future__ import annotations

from pathlib import Path

from analytics.manifest import STREAMS, load
from benchmarks.writing import WAYS, run


async def test_each_way_archives_every_record(in_memory: Path) -> None:
    """The same records and the same head of the chain, in few segments, in many, and in few again."""
    found = await run(2, 10, in_memory)
    at_once, as_it_comes, merged = found.ways
    assert found.whole
    assert tuple(one.way for one in found.ways) == WAYS
    assert at_once.rows == as_it_comes.rows == found.records
    assert at_once.segments <= len(STREAMS) < merged.segments < as_it_comes.segments
    assert merged.segments == sum(len(load(in_memory / "as-it-comes").stream(name).segments) for name in STREAMS)
    assert 0 < merged.rows <= found.records
    assert at_once.bytes_of_decisions < at_once.bytes_per_decision
