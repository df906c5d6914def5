from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from analytics import compact
from analytics.files import DiskFiles, put
from analytics.manifest import MANIFEST, SEGMENTS, Manifest, Stream, file_name, load, seal
from analytics.tables import Row, build, entry_of, from_parquet, to_parquet
from analytics.verify import LAG_MS, verify
from analytics.writer import EventLogWriter
from streams.codec import decode_decision, encode
from streams.core.chain import sha256_of
from streams.ports import Outgoing, TopicPartition
from tests.analytics.archive import archive, archive_in_stages
from tests.analytics.history import story, wander


def replace(directory: Path, manifest: Manifest, contents: dict[str, bytes] | None = None) -> None:
    """Change a log as someone would who knows how its hashes are made."""
    put(DiskFiles(), directory / SEGMENTS, contents or {})
    put(DiskFiles(), directory, {MANIFEST: seal(manifest, load(directory))[1]})


def with_stream(manifest: Manifest, name: str, stream: Stream) -> Manifest:
    """Return a manifest with another stream."""
    return msgspec.structs.replace(manifest, streams={**manifest.streams, name: stream})


def rewrite(directory: Path, name: str, table: str, change: Callable[[list[Row]], None]) -> str:
    """Change the rows of a table's first file, make all hashes fit, and return the file's name."""
    manifest = load(directory)
    stream = manifest.stream(name)
    segment = stream.segments[0]
    rows = from_parquet((directory / SEGMENTS / file_name(table, segment.first, segment.last)).read_bytes()).to_pylist()
    change(rows)
    data = to_parquet([build(table, rows)])
    entry = entry_of(table, segment.first, segment.last, len(rows), data)
    files = tuple(entry if one.table == table else one for one in segment.files)
    segments = (msgspec.structs.replace(segment, files=files), *stream.segments[1:])
    changed = with_stream(manifest, name, msgspec.structs.replace(stream, segments=segments))
    replace(directory, changed, {entry.name: data})
    return entry.name


async def test_a_whole_log_is_clean(tmp_path: Path) -> None:
    """Nothing is found in what the writer wrote, and everything was looked at."""
    history = story()
    await archive(history, tmp_path)
    report = await verify(tmp_path, history.log)
    assert report.findings == ()
    assert report.counts["decisions"] == len(history.decisions)
    assert report.counts["facts"] == 176
    assert report.counts["files"] == len(load(tmp_path).names())


@pytest.mark.parametrize("seed", range(4))
async def test_a_merged_log_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Merging, gaps in time and retired files are nothing to find."""
    monkeypatch.setattr(compact, "FAN_IN", 3)
    history = wander(seed, facts=150)
    await archive_in_stages(history, tmp_path, 12)
    assert load(tmp_path).retired
    assert (await verify(tmp_path, history.log)).findings == ()


async def test_every_flipped_bit_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single flipped bit anywhere is found and named with its file."""
    monkeypatch.setattr(compact, "FAN_IN", 3)
    await archive_in_stages(story(), tmp_path, 5)
    rng = random.Random(1)
    paths = [tmp_path / MANIFEST, *sorted((tmp_path / SEGMENTS).iterdir())]
    assert len(paths) > 20
    for path in paths:
        data = path.read_bytes()
        for _ in range(3):
            bit = rng.randrange(len(data) * 8)
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(bytes(damaged))
            found = (await verify(tmp_path)).findings
            assert [finding.file for finding in found] == [path.name], (path.name, bit, found)
        path.write_bytes(data)


async def test_every_bit_of_the_manifest_counts(tmp_path: Path) -> None:
    """No bit of the manifest can be flipped unseen, be it in a hash, a number or a blank."""
    await archive(story(), tmp_path)
    path = tmp_path / MANIFEST
    data = path.read_bytes()
    for bit in range(0, len(data) * 8, 5):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(damaged))
        assert [finding.file for finding in (await verify(tmp_path)).findings] == [MANIFEST], bit


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is gone is named, and nothing else is."""
    await archive_in_stages(story(), tmp_path, 5)
    for file in load(tmp_path).files("decisions"):
        path = tmp_path / SEGMENTS / file.name
        data = path.read_bytes()
        path.unlink()
        assert [finding.file for finding in (await verify(tmp_path)).findings] == [file.name]
        path.write_bytes(data)


@pytest.mark.parametrize("name", ["facts", "decisions", "commands"])
async def test_a_cut_last_segment_is_named_by_kafka(tmp_path: Path, name: str) -> None:
    """The last segment cut off, with a manifest made to fit, is found by Kafka's end and named."""
    history = wander(2, facts=100)
    await archive_in_stages(history, tmp_path, 4)
    manifest = load(tmp_path)
    stream = manifest.stream(name)
    kept, cut = stream.segments[:-1], stream.segments[-1]
    shorter = msgspec.structs.replace(
        stream, segments=kept, position=cut.first, last_seq=kept[-1].last_seq, head=kept[-1].head
    )
    replace(tmp_path, with_stream(manifest, name, shorter))
    found = (await verify(tmp_path, history.log)).findings
    offsets = f"offsets {cut.first} to {cut.last}"
    assert any(finding.file.startswith(name) and offsets in finding.message for finding in found)


async def test_facts_cut_offline_are_missed_by_their_decisions(tmp_path: Path) -> None:
    """Without Kafka, decisions about facts that are no longer there tell of the cut."""
    await archive_in_stages(story(), tmp_path, 4)
    manifest = load(tmp_path)
    stream = manifest.stream("facts")
    shorter = msgspec.structs.replace(stream, segments=stream.segments[:-1], position=stream.segments[-1].first)
    replace(tmp_path, with_stream(manifest, "facts", shorter))
    found = (await verify(tmp_path)).findings
    assert any("which is not in the log" in finding.message for finding in found)


async def test_a_segment_taken_out_is_a_hole(tmp_path: Path) -> None:
    """A segment left out of the middle is a hole in the offsets."""
    await archive_in_stages(story(), tmp_path, 4)
    manifest = load(tmp_path)
    stream = manifest.stream("evidence")
    holed = msgspec.structs.replace(stream, segments=(stream.segments[0], *stream.segments[2:]))
    replace(tmp_path, with_stream(manifest, "evidence", holed))
    (finding,) = (await verify(tmp_path)).findings
    assert "offsets are missing before it" in finding.message


@pytest.mark.parametrize(
    ("stream", "table"),
    [("facts", "detections"), ("decisions", "decisions"), ("commands", "commands"), ("evidence", "evidence")],
)
async def test_a_changed_cell_is_found_under_new_hashes(tmp_path: Path, stream: str, table: str) -> None:
    """A typed column that no longer says what its raw record says is found, whatever the hashes say."""
    await archive(story(), tmp_path)
    file = rewrite(tmp_path, stream, table, lambda rows: rows[0].update(service="innocent"))
    found = (await verify(tmp_path)).findings
    assert [(one.file, one.message.split()[1]) for one in found] == [(file, "service")]


async def test_an_edited_decision_breaks_the_chain(tmp_path: Path) -> None:
    """A decision edited in raw and typed columns alike no longer fits the hash that the next one carries."""
    await archive(story(), tmp_path)

    def edit(rows: list[Row]) -> None:
        edited = msgspec.structs.replace(decode_decision(rows[3]["kafka_value"]), reason="something else")
        rows[3].update(kafka_value=encode(edited), reason=edited.reason, sha256=sha256_of(edited))

    file = rewrite(tmp_path, "decisions", "decisions", edit)
    (finding,) = (await verify(tmp_path)).findings
    assert (finding.file, finding.message) == (file, "decisions offset 4: seq 4 does not continue the chain")


async def test_a_running_writer_may_lag(tmp_path: Path) -> None:
    """While a writer runs, what was appended just now may be missing; what was appended long ago may not."""
    history = story()
    await archive(history, tmp_path)
    history.log.put(Outgoing(history.topics.facts, b"new"))
    assert (await verify(tmp_path, history.log, now_ms=history.now_ms)).findings
    with EventLogWriter(history.log, history.topics, tmp_path):
        assert not (await verify(tmp_path, history.log, now_ms=history.now_ms)).findings
        assert (await verify(tmp_path, history.log, now_ms=history.now_ms + LAG_MS + 1)).findings


async def test_a_gap_of_retention_is_no_finding(tmp_path: Path) -> None:
    """Commands that the broker deleted before they were archived are a gap, and a gap is not damage."""
    history = story()
    history.log.delete_below(TopicPartition(history.topics.commands, 0), 1)
    await archive(history, tmp_path)
    assert (await verify(tmp_path, history.log)).findings == ()


async def test_no_log_is_said_so(tmp_path: Path) -> None:
    """A directory without a manifest is no event log."""
    assert [finding.file for finding in (await verify(tmp_path)).findings] == [MANIFEST]
