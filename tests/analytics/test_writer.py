from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from analytics import compact
from analytics import writer as writer_module
from analytics.manifest import MANIFEST, SEGMENTS, load
from analytics.verify import verify
from analytics.writer import EVIDENCE_DAYS, GRACE_MS, LINGER_MS, SEGMENT_ROWS_MAX, EventLogWriter
from streams.codec import encode
from streams.core.errors import InputError, InvariantError
from streams.core.events import Ticked
from streams.ports import Outgoing, TopicPartition
from streams.topics import DAY_MS
from tests.analytics.archive import (
    Clock,
    Hearing,
    archive,
    archive_in_stages,
    archived,
    in_kafka,
)
from tests.analytics.conftest import MakesWriters
from tests.analytics.crashing import DyingFiles, FullDisk
from tests.analytics.history import History, story, wander
from tests.analytics.memory_log import MemoryLog


@pytest.fixture
def small_merges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge three segments instead of twelve."""
    monkeypatch.setattr(compact, "FAN_IN", 3)


async def test_everything_is_archived_once(tmp_path: Path) -> None:
    """What is in the four topics is in the archive, record for record."""
    history = story()
    await archive(history, tmp_path)
    assert archived(tmp_path) == in_kafka(history)


async def test_nothing_is_archived_twice(tmp_path: Path, writer_of: MakesWriters) -> None:
    """A second writer over the same topics adds nothing."""
    history = story()
    await archive(history, tmp_path)
    writer = writer_of(history, tmp_path)
    assert await writer.flush() == 0


async def test_records_wait_for_company(tmp_path: Path, writer_of: MakesWriters) -> None:
    """A segment is cut when its oldest record has waited for five seconds, not before."""
    history, clock = story(), Clock()
    writer = writer_of(history, tmp_path, clock=clock)
    assert await writer.step() == 0
    clock.now_ms += LINGER_MS - 1
    assert await writer.step() == 0
    clock.now_ms += 1
    assert await writer.step() > 0


async def test_records_that_came_during_a_merge_have_waited_that_long(tmp_path: Path, writer_of: MakesWriters) -> None:
    """What looking after old segments takes is no part of the five seconds, which begin when nothing was there yet."""
    history, clock = story(), Clock()
    writer = writer_of(history, tmp_path, clock=clock)
    await writer.step()
    clock.now_ms += LINGER_MS
    assert await writer.step() > 0
    tick = encode(Ticked(owner="o"))
    history.log.put(Outgoing(history.topics.facts, tick))
    clock.now_ms += LINGER_MS - 1  # all but a moment of it spent on merging
    assert await writer.step() == 0
    clock.now_ms += 1
    assert await writer.step() == 1


async def test_many_records_do_not_wait(tmp_path: Path, writer_of: MakesWriters) -> None:
    """Ten thousand records make a segment at once, and the rest the next one."""
    history = History()
    history.log.fetch_max = 4_000
    tick = encode(Ticked(owner="o"))
    for _ in range(SEGMENT_ROWS_MAX + 1):
        history.log.put(Outgoing(history.topics.facts, tick))
    await writer_of(history, tmp_path).step()
    assert [(one.first, one.last) for one in load(tmp_path).stream("facts").segments] == [(0, 9_999), (10_000, 10_000)]


@pytest.mark.parametrize(("how", "forgets"), [("before", False), ("half", True), ("after", False), ("after", True)])
@pytest.mark.usefixtures("small_merges")
async def test_death_at_every_step_loses_and_doubles_nothing(in_memory: Path, how: str, *, forgets: bool) -> None:
    """Wherever process or machine dies, the next writer ends with exactly what is in Kafka."""
    history = wander(seed=3, facts=60)
    whole = in_memory / "whole"
    disk = DyingFiles(whole, in_memory / "graves", how, forgets=forgets)
    await archive_in_stages(history, whole, 5, disk)
    for directory in [whole, *disk.deaths]:
        present = {path.name for path in (directory / SEGMENTS).iterdir()}
        assert load(directory).names() <= present, "the manifest names what is not there"
        if directory != whole:
            await archive_in_stages(history, directory, 1)
        assert archived(directory) == in_kafka(history)
        names = {path.name for path in (directory / SEGMENTS).iterdir()}
        assert names == load(directory).names()
    assert len(disk.deaths) > 90, "the history is too short to die often"


@dataclass
class GrowingLog(MemoryLog):
    """More is there each time that somebody asks for a topic's end."""

    stamps: list[int] = field(default_factory=list)

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return the bounds, and let time go on."""
        found = await super().bounds(where)
        self.horizon_ms = self.stamps.pop(0) if self.stamps else 1 << 62
        return found


class MakesRoom(Hearing):
    """Makes room on a full disk once it hears of it, while more is said; ends the writer when commands are archived."""

    def __init__(self, history: History, disk: FullDisk, stop: asyncio.Event) -> None:
        super().__init__()
        self._history, self._disk, self._stop = history, disk, stop

    def wrote(self, stream: str, records: int, size_bytes: int) -> None:
        """End the writer with the last topic."""
        if stream == "commands":
            self._stop.set()

    def failed(self, message: str) -> None:
        """Make room."""
        super().failed(message)
        self._history.see("mail", "process_crash")
        self._disk.room = True


@pytest.mark.parametrize("at", range(1, 31, 3))
async def test_full_disk_is_reported_and_made_up_for(
    tmp_path: Path, writer_of: MakesWriters, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """A full disk loses nothing: once there is room, everything is archived, and nothing is left lying about."""
    monkeypatch.setattr(writer_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(writer_module, "LINGER_MS", 0)
    history, stop, disk = story(), asyncio.Event(), FullDisk(at)
    hearing = MakesRoom(history, disk, stop)
    await writer_of(history, tmp_path, files=disk, hearing=hearing).run(stop)
    assert "No space left on device" in hearing.failures[0]
    assert archived(tmp_path) == in_kafka(history)
    assert {path.name for path in (tmp_path / SEGMENTS).iterdir()} == load(tmp_path).names()


async def test_what_is_named_is_archived_before_what_names_it(tmp_path: Path, writer_of: MakesWriters) -> None:
    """Although topics grow while their ends are taken, no archived decision lacks its fact, no command its decision."""
    history = wander(seed=5, facts=120)
    stamps = sorted({record.timestamp for held in history.log.records.values() for record in held})
    growing = GrowingLog(records=history.log.records, stamps=stamps, horizon_ms=0)
    with EventLogWriter(growing, history.topics, tmp_path) as writer:
        while growing.stamps:
            await writer.flush()
            assert (await verify(tmp_path)).findings == ()


@pytest.mark.usefixtures("small_merges")
async def test_merging_keeps_every_record(tmp_path: Path) -> None:
    """Merged segments hold the same records under fewer names."""
    history = wander(seed=5, facts=120)
    await archive_in_stages(history, tmp_path, 14)
    assert archived(tmp_path) == in_kafka(history)
    assert len(load(tmp_path).stream("facts").segments) < 8


@pytest.mark.usefixtures("small_merges")
async def test_merged_files_stay_for_readers(tmp_path: Path, writer_of: MakesWriters) -> None:
    """A merged file is removed when the grace period is over, not before."""
    history, clock = wander(seed=5, facts=120), Clock()
    writer = writer_of(history, tmp_path, clock=clock)
    for horizon_ms in (1_800_000_020_000, 1_800_000_040_000, 1 << 62):
        history.log.horizon_ms = horizon_ms
        await writer.flush()
    await writer.step()
    retired = [one.name for one in load(tmp_path).retired]
    assert retired
    clock.now_ms += GRACE_MS - 1
    await writer.step()
    assert all((tmp_path / SEGMENTS / name).exists() for name in retired)
    clock.now_ms += 1
    await writer.step()
    assert not any((tmp_path / SEGMENTS / name).exists() for name in retired)


@pytest.mark.usefixtures("small_merges")
async def test_damage_is_not_merged(tmp_path: Path, writer_of: MakesWriters) -> None:
    """A damaged segment is reported, stays where it is, and archiving goes on."""
    history, hearing = wander(seed=5, facts=120), Hearing()
    writer = writer_of(history, tmp_path, hearing=hearing)
    for horizon_ms in (1_800_000_020_000, 1_800_000_040_000, 1_800_000_060_000):
        history.log.horizon_ms = horizon_ms
        await writer.flush()
    victim = load(tmp_path).files("facts")[1]
    path = tmp_path / SEGMENTS / victim.name
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(bytes(data))
    history.log.horizon_ms = 1 << 62
    await writer.step()
    assert await writer.flush() > 0
    assert victim.name in hearing.failures[0]
    assert victim in load(tmp_path).files("facts")


async def test_equal_repeats_are_dropped(tmp_path: Path, writer_of: MakesWriters) -> None:
    """What a woken zombie appends again, byte for byte, is not in the tables a second time."""
    history = story()
    await archive(history, tmp_path)
    again = [*history.decisions[-3:], history.decisions[0]]
    for decision in again:
        history.put(history.topics.decisions, decision)
    history.command(history.commands[0], 2)
    writer = writer_of(history, tmp_path)
    await writer.flush()
    manifest = load(tmp_path)
    assert sum(file.rows for file in manifest.files("decisions")) == len(history.decisions)
    assert sum(file.rows for file in manifest.files("commands")) == len(history.commands)
    assert manifest.stream("decisions").position == len(history.decisions) + len(again)


async def test_unequal_repeats_stop_the_writer(tmp_path: Path, writer_of: MakesWriters) -> None:
    """A number that comes again with other bytes is never archived."""
    history = story()
    await archive(history, tmp_path)
    history.put(history.topics.decisions, msgspec.structs.replace(history.decisions[1], reason="other"))
    with pytest.raises(InvariantError, match="seq 1 was recorded before with other bytes"):
        await writer_of(history, tmp_path).flush()


async def test_a_missing_decision_stops_the_writer(tmp_path: Path) -> None:
    """A number that skips one is never archived."""
    history = story()
    history.log.records[TopicPartition(history.topics.decisions, 0)].pop(4)
    with pytest.raises(InvariantError, match="seq 5 follows 3"):
        await archive(history, tmp_path)


async def test_another_chain_stops_the_writer(tmp_path: Path) -> None:
    """The right number on the wrong chain is never archived."""
    history = story()
    strange = msgspec.structs.replace(history.decisions[-1], seq=len(history.decisions), previous_sha256="0" * 64)
    history.put(history.topics.decisions, strange)
    with pytest.raises(InvariantError, match="does not continue the chain"):
        await archive(history, tmp_path)


async def test_a_missing_command_stops_the_writer(tmp_path: Path) -> None:
    """A command that names another one as the one before it is never archived."""
    history = story()
    history.log.records[TopicPartition(history.topics.commands, 0)].pop(0)
    with pytest.raises(InvariantError, match="says it follows 2, but the one before it is -1"):
        await archive(history, tmp_path)


async def test_zombie_slices_are_kept_raw_only(tmp_path: Path) -> None:
    """A slice of an old term is in the facts with its verdict, and in no derived table."""
    history = History()
    history.begin()
    zombie = history.slice_of("logs", 1)
    history._ends["logs"] = 0
    history.take("logs")
    history.fact(zombie)
    history.see("shop", "process_crash")
    await archive(history, tmp_path)
    (file,) = load(tmp_path).files("facts")
    verdicts = pq.read_table(tmp_path / SEGMENTS / file.name)["verdict"].to_pylist()
    assert verdicts.count("zombie") == 1
    assert [file.rows for file in load(tmp_path).files("detections")] == [1]


async def test_what_is_no_fact_is_kept_raw(tmp_path: Path) -> None:
    """A record on the facts topic that no schema knows is archived as it stands."""
    history = History()
    history.log.put(Outgoing(history.topics.facts, b"\x00nonsense"))
    await archive(history, tmp_path)
    assert archived(tmp_path)["facts"] == [(0, b"\x00nonsense")]


async def test_two_writers_are_refused(tmp_path: Path, writer_of: MakesWriters) -> None:
    """A directory has one writer; the second is told so."""
    history = story()
    with (
        EventLogWriter(history.log, history.topics, tmp_path),
        pytest.raises(InputError, match="in use by another event-log writer"),
    ):
        writer_of(history, tmp_path)
    writer_of(history, tmp_path)


async def test_a_directory_that_cannot_be_made_is_said_so(tmp_path: Path, writer_of: MakesWriters) -> None:
    """A log directory where a file stands is an input error that names it."""
    (tmp_path / "log").write_text("a file")
    with pytest.raises(InputError, match="log can't be written"):
        writer_of(story(), tmp_path / "log")


async def test_segments_without_a_manifest_are_not_touched(tmp_path: Path, writer_of: MakesWriters) -> None:
    """When the manifest is gone, nothing is removed and the writer says what to do."""
    history = story()
    await archive(history, tmp_path)
    (tmp_path / MANIFEST).unlink()
    before = sorted((tmp_path / SEGMENTS).iterdir())
    with pytest.raises(InvariantError, match="restore it from a backup"):
        writer_of(history, tmp_path)
    assert sorted((tmp_path / SEGMENTS).iterdir()) == before


async def test_a_cut_topic_stops_the_writer(tmp_path: Path, writer_of: MakesWriters) -> None:
    """A topic that ends below what is archived is not the topic that was archived."""
    history = story()
    await archive(history, tmp_path)
    facts = history.log.records[TopicPartition(history.topics.facts, 0)]
    facts.pop()
    with pytest.raises(InvariantError, match=f"ends at {len(facts)}, but {len(facts) + 1}"):
        await writer_of(history, tmp_path).flush()


async def test_facts_deleted_unread_stop_the_writer(tmp_path: Path) -> None:
    """Facts and decisions that were deleted before they were archived are an alarm."""
    history = story()
    history.log.delete_below(TopicPartition(history.topics.facts, 0), 5)
    with pytest.raises(InvariantError, match="begins at 5, but the archive ends at 0"):
        await archive(history, tmp_path)


async def test_commands_deleted_unread_are_a_gap(tmp_path: Path, writer_of: MakesWriters) -> None:
    """Commands older than their retention leave a gap that the manifest names."""
    history, hearing = story(), Hearing()
    history.log.delete_below(TopicPartition(history.topics.commands, 0), 1)
    writer = writer_of(history, tmp_path, hearing=hearing)
    await writer.flush()
    stream = load(tmp_path).stream("commands")
    assert [(gap.first, gap.last) for gap in stream.gaps] == [(0, 0)]
    assert stream.position == 2
    assert "offsets 0 to 0 were deleted" in hearing.failures[0]


async def test_evidence_is_erased_when_its_time_is_over(tmp_path: Path, writer_of: MakesWriters) -> None:
    """Text goes after thirty days; the rest of the log stays."""
    history, clock = story(), Clock()
    writer = writer_of(history, tmp_path, clock=clock)
    await writer.flush()
    clock.now_ms = history.now_ms + EVIDENCE_DAYS * DAY_MS + 1
    await writer.step()
    clock.now_ms += GRACE_MS
    await writer.step()
    assert load(tmp_path).files("evidence") == ()
    assert not list((tmp_path / SEGMENTS).glob("evidence-*"))
    assert archived(tmp_path)["decisions"] == in_kafka(history)["decisions"]
