"""Portions of a fetch: what they hold together, and how much at once."""

from __future__ import annotations

import gzip

from hypothesis import given
from hypothesis import strategies as st

from streams.agents.portions import PORTION_BYTES, portions
from streams.ports import Outgoing, TopicPartition
from tests.agents.test_detect import engine, process, slices
from tests.ingest.given import Given
from tests.sim.alone import Alone

SIZES = st.lists(st.lists(st.integers(0, 60), max_size=12), max_size=4)


@given(SIZES, st.integers(1, 100))
def test_nothing_is_left_out_and_no_portion_holds_more_than_its_size_and_a_record(
    sizes: list[list[int]], size_bytes: int
) -> None:
    """Put together, portions are the batch; each is full before its last record, but for the last portion."""
    batch = [
        (TopicPartition("logs", number), [Given(b"x" * size, offset=offset) for offset, size in enumerate(row)])
        for number, row in enumerate(sizes)
    ]
    found = list(portions(batch, size_bytes))
    for where, records in batch:
        assert [one for portion in found for there, some in portion if there == where for one in some] == records
    for portion in found:
        weights = [len(record.value or b"") for _, records in portion for record in records]
        assert sum(weights[:-1]) < size_bytes
        assert portion is found[-1] or sum(weights) >= size_bytes


def test_compressed_records_weigh_what_they_may_unfold_to() -> None:
    """Of tiny records that producers compressed only a few are worked off at once."""
    records = [Given(gzip.compress(b"a\n" * 8_000), offset=offset) for offset in range(100)]
    sizes = [len(portion[0][1]) for portion in portions([(TopicPartition("logs", 0), records)])]
    assert sizes == [32, 32, 32, 4]
    assert sum(len(record.value or b"") for record in records) < PORTION_BYTES


def test_slices_of_a_portion_are_acknowledged_before_the_next_is_cut() -> None:
    """A fetch of several portions comes to slices that join, and every line counts once."""
    alone = Alone()
    detect = engine(alone)
    alone.run(detect.load([TopicPartition("logs", 0)]))
    alone.land(*[Outgoing("logs", gzip.compress(b"all is well\n" * 3)) for _ in range(70)])
    process(alone, detect)
    assert [(piece.from_offset, piece.to_offset, piece.lines) for piece in slices(alone)] == [
        (0, 32, 96),
        (32, 64, 96),
        (64, 70, 18),
    ]
