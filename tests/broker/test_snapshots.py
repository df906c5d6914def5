"""Snapshots survive damage: what is not whole is left out, and the older one stands. No broker is needed here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.errors import InputError
from streams.ports import Outgoing, TopicPartition
from streams.runtime.snapshots import CHUNK_BYTES_MAX, FileSnapshots, SavedMeanwhile, TopicSnapshots, unwrap, wrap
from tests.analytics.memory_log import MemoryLog

WHERE = TopicPartition("snapshots", 0)


@given(st.binary(max_size=200))
def test_an_envelope_gives_its_body_back(body: bytes) -> None:
    """Unwrapping what was wrapped is the body."""
    assert unwrap(wrap(body)) == body


@given(st.binary(max_size=60), st.data())
def test_any_damage_to_an_envelope_is_seen(body: bytes, data: st.DataObject) -> None:
    """No flipped bit and no cut passes for a whole envelope."""
    envelope = bytearray(wrap(body))
    if data.draw(st.booleans(), label="cut"):
        del envelope[data.draw(st.integers(0, len(envelope) - 1)) :]
    else:
        bit = data.draw(st.integers(0, 8 * len(envelope) - 1))
        envelope[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InputError):
        unwrap(bytes(envelope))


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_two_files_are_kept_newest_first(tmp_path: Path) -> None:
    """Of many snapshots the last two remain, also for a store that is opened again."""
    for number in range(5):
        await FileSnapshots(tmp_path).save(b"%d" % number)
    assert list(await FileSnapshots(tmp_path).newest()) == [b"4", b"3"]
    assert len(_names(tmp_path)) == 2


async def test_no_directory_means_no_snapshots(tmp_path: Path) -> None:
    """A first start finds none."""
    assert list(await FileSnapshots(tmp_path / "new").newest()) == []


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
async def test_a_damaged_file_is_left_out(tmp_path: Path, damage: str) -> None:
    """The older snapshot stands when the newest file is damaged, and saving goes on."""
    store = FileSnapshots(tmp_path)
    await store.save(b"older" * 100)
    await store.save(b"newest" * 100)
    path = tmp_path / _names(tmp_path)[-1]
    whole = path.read_bytes()
    flipped = whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]
    path.write_bytes({"cut": whole[:-1], "flip": flipped, "empty": b""}[damage])
    assert list(await store.newest()) == [b"older" * 100]
    await store.save(b"next")
    assert (await store.newest())[0] == b"next"


async def test_a_file_that_was_not_finished_is_no_snapshot(tmp_path: Path) -> None:
    """What a crash left half-written does not count."""
    await FileSnapshots(tmp_path).save(b"whole")
    (tmp_path / "snapshot-000000000001.tmp").write_bytes(wrap(b"half")[:-2])
    assert list(await FileSnapshots(tmp_path).newest()) == [b"whole"]
    await FileSnapshots(tmp_path).save(b"next")
    assert list(await FileSnapshots(tmp_path).newest()) == [b"next", b"whole"]


async def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    """A snapshot that can't be written says where."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a snapshot can't be written"):
        await FileSnapshots(tmp_path / "file").save(b"x")


async def test_work_goes_on_while_a_snapshot_is_written(tmp_path: Path) -> None:
    """Saving returns before the file is there; who asks for the newest, or saves another, finds it whole."""
    store = SavedMeanwhile(FileSnapshots(tmp_path))
    await store.save(b"first")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - no await may come between, and a path's would be one to ruff
    assert list(await store.newest()) == [b"first"]
    await store.save(b"second")
    await store.save(b"third")
    assert list(await store.newest()) == [b"third", b"second"]


async def test_what_became_of_a_snapshot_is_said_at_the_next(tmp_path: Path) -> None:
    """One that could not be written is told of, and the next one is tried all the same."""
    (tmp_path / "file").write_text("")
    store = SavedMeanwhile(FileSnapshots(tmp_path / "file"))
    await store.save(b"first")
    assert list(await store.newest()) == []
    (tmp_path / "file").unlink()
    with pytest.raises(InputError, match="a snapshot can't be written"):
        await store.save(b"second")
    assert list(await store.newest()) == [b"second"]


def _compacted(log: MemoryLog) -> MemoryLog:
    """Return the log as compaction leaves it: the last record of each key."""
    last = {record.key: record for record in log.records[WHERE]}
    kept = [record for record in log.records[WHERE] if last[record.key] is record]
    return MemoryLog(records={WHERE: kept}, earliest={WHERE: 0})


async def test_two_snapshots_of_many_chunks_are_kept_in_the_topic(tmp_path: Path) -> None:
    """The last two come back whole, also after compaction, and no record is larger than its limit."""
    log = MemoryLog()
    bodies = [os.urandom(size) for size in (3 * CHUNK_BYTES_MAX, 10, 2 * CHUNK_BYTES_MAX + 1, 700_000)]
    store = TopicSnapshots(log, WHERE.topic)
    for body in bodies:
        await store.save(body)
    assert list(await store.newest()) == [bodies[3], bodies[2]]
    assert list(await TopicSnapshots(_compacted(log), WHERE.topic).newest()) == [bodies[3], bodies[2]]
    assert max(len(record.value or b"") for record in log.records[WHERE]) <= CHUNK_BYTES_MAX


async def test_a_new_writer_spares_the_newest_snapshot() -> None:
    """A process that starts anew overwrites the older slot first."""
    log = MemoryLog()
    await TopicSnapshots(log, WHERE.topic).save(b"first")
    await TopicSnapshots(log, WHERE.topic).save(b"second")
    restarted = TopicSnapshots(log, WHERE.topic)
    await restarted.save(b"third")
    assert list(await TopicSnapshots(_compacted(log), WHERE.topic).newest()) == [b"third", b"second"]


class _CrashError(Exception):
    pass


class _CrashingLog(MemoryLog):
    """Ends the writer after a number of records."""

    left = 10**9

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        allowed = records[: self.left]
        self.left -= len(allowed)
        offsets = await super().append(allowed)
        if len(allowed) < len(records):
            raise _CrashError
        return offsets


@pytest.mark.parametrize("records", range(4))
async def test_a_snapshot_that_was_not_sealed_is_left_out(records: int) -> None:
    """However far the writer came before it died, the snapshot before it stands, compacted or not."""
    log = _CrashingLog()
    store = TopicSnapshots(log, WHERE.topic)
    bodies = [os.urandom(3 * CHUNK_BYTES_MAX - 100) for _ in range(3)]
    await store.save(bodies[0])
    await store.save(bodies[1])
    log.left = records
    with pytest.raises(_CrashError):
        await store.save(bodies[2])
    for found in (log, _compacted(log)):
        assert (await TopicSnapshots(found, WHERE.topic).newest())[0] == bodies[1]


async def test_a_damaged_chunk_is_seen() -> None:
    """A chunk with other bytes makes its snapshot count for nothing, and the other one stands."""
    log = MemoryLog()
    store = TopicSnapshots(log, WHERE.topic)
    await store.save(b"older")
    await store.save(b"newer")
    log.records[WHERE][2] = replace(log.records[WHERE][2], value=b"other")
    assert list(await store.newest()) == [b"older"]


async def test_rubbish_in_the_topic_is_passed_over() -> None:
    """Records of no known form neither count nor stop the reader."""
    log = MemoryLog()
    store = TopicSnapshots(log, WHERE.topic)
    await store.save(b"whole")
    rubbish = [(b"0/seal", b"\xff\xff"), (b"\xff", b"x"), (None, None), (b"1/seal", None)]
    await log.append([Outgoing(WHERE.topic, value, key) for key, value in rubbish])
    assert list(await store.newest()) == [b"whole"]
