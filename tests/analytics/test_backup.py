"""A copy of the event log is whole, or it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics import backup
from analytics.manifest import SEGMENTS, load
from analytics.replay import replay
from analytics.verify import verify
from streams.catalogue import strategies
from streams.core.errors import InputError
from streams.core.fold import Fold
from streams.ports import TopicPartition
from streams.runtime.refill import Filling, Stored, are_empty, dense
from tests.analytics.archive import archive
from tests.analytics.history import History, story


async def backed_up(tmp_path: Path) -> tuple[History, Path]:
    """Return a story and a backup of its archive and of a key."""
    history, log, key = story(), tmp_path / "log", tmp_path / "key"
    await archive(history, log)
    key.write_text("secret")
    backup.make(log, tmp_path / "copy", {"web/key": key}, at_ms=1, release="1", fleet="logmend")
    return history, tmp_path / "copy"


async def test_what_is_put_back_is_the_log(tmp_path: Path) -> None:
    """The restored files verify, replay to the recorded decisions, and keep secrets to their owner."""
    history, copy = await backed_up(tmp_path)
    put = backup.put_back(copy, home := tmp_path / "home")
    assert (await verify(home / "log", history.log)).findings == ()
    assert replay(home / "log", lambda: Fold.new(strategies())).ok
    assert put.ends["decisions"] == len(history.decisions)
    assert ((home / "web" / "key").read_text(), (home / "web" / "key").stat().st_mode & 0o777) == ("secret", 0o600)


@pytest.mark.parametrize("damage", ["changed", "missing", "outside"])
async def test_a_damaged_backup_is_refused_before_anything_is_written(tmp_path: Path, damage: str) -> None:
    """A file that was changed, is gone or would lie elsewhere is named, and the data directory stays empty."""
    _, copy = await backed_up(tmp_path)
    (segment, *_) = sorted((copy / "log" / SEGMENTS).glob("decisions-*"))
    if damage == "changed":
        data = segment.read_bytes()
        segment.unlink()
        segment.write_bytes(data[:-1] + b"\x00")
    elif damage == "missing":
        segment.unlink()
    else:
        listed = copy / backup.BACKUP
        listed.write_text(listed.read_text().replace("web/key", "../key"))
    with pytest.raises(InputError, match=r"another|missing|outside"):
        backup.put_back(copy, tmp_path / "home")
    assert not (tmp_path / "home").exists()


async def test_damage_is_not_backed_up(tmp_path: Path) -> None:
    """A segment that is not as it was written ends a backup, and verify is named."""
    await archive(story(), tmp_path / "log")
    file = load(tmp_path / "log").files("facts")[0]
    (tmp_path / "log" / SEGMENTS / file.name).write_bytes(b"nothing")
    with pytest.raises(InputError, match="is damaged: run logmend verify"):
        backup.make(tmp_path / "log", tmp_path / "copy", {}, at_ms=1, release="1", fleet="logmend")


async def test_nothing_is_written_over(tmp_path: Path) -> None:
    """Neither a backup nor a data directory goes where something is."""
    _, copy = await backed_up(tmp_path)
    with pytest.raises(InputError, match="is not an empty directory"):
        backup.make(tmp_path / "log", copy, {}, at_ms=1, release="1", fleet="logmend")
    with pytest.raises(InputError, match="is not an empty directory"):
        backup.put_back(copy, tmp_path / "log")


@pytest.mark.parametrize("place", ["log/copy", "log/segments/copy", "way/copy"])
async def test_no_backup_lies_in_the_log_itself(tmp_path: Path, place: str) -> None:
    """Also not by a link that leads there: whoever writes, verifies or uninstalls the log would meet it."""
    await archive(story(), log := tmp_path / "log")
    (tmp_path / "way").symlink_to(log)
    with pytest.raises(InputError, match="is in the event log's own directory: name one outside of"):
        backup.make(log, tmp_path / place, {}, at_ms=1, release="1", fleet="logmend")
    assert not (tmp_path / place).exists()


async def test_the_records_are_those_of_kafka(tmp_path: Path) -> None:
    """What Kafka is filled with from an archive has the offsets, stamps, keys, bytes and headers that it had."""
    history = story()
    await archive(history, tmp_path)
    manifest = load(tmp_path)
    for name in ("facts", "decisions", "commands"):
        held = history.log.records[TopicPartition(getattr(history.topics, name), 0)]
        found = list(backup.records(tmp_path, manifest, name))
        assert found == [(one.offset, one.timestamp, one.key, one.value, tuple(one.headers)) for one in held]
        assert len(found) > 0


def test_an_offset_that_is_left_out_repeats_what_stood_before_it() -> None:
    """A filled topic is dense: readers drop what they have seen, and an offset is never another record's."""
    one, two = Stored(1, 11, b"k", b"one"), Stored(3, 33, b"k", b"two")
    filled = list(dense([one, two], 5))
    assert [record.offset for record in filled] == [0, 1, 2, 3, 4]
    assert [record.value for record in filled] == [b"", b"one", b"one", b"two", b"two"]
    assert [record.append_ms for record in filled] == [0, 11, 11, 33, 33]


WANTED = (Filling("facts", 9), Filling("decisions", 5), Filling("commands", 3), Filling("evidence", 0))


def test_only_topics_without_anything_are_filled() -> None:
    """Topics that hold all of the backup, or more, stay as they are."""
    assert are_empty(WANTED, {"facts": 0, "decisions": 0, "commands": 0, "evidence": 0}, [])
    assert not are_empty(WANTED, {"facts": 9, "decisions": 6, "commands": 3, "evidence": 0}, [])


@pytest.mark.parametrize("ends", [(9, 4, 0, 0), (9, 5, 0, 0), (3, 0, 0, 0), (0, 5, 3, 0)])
def test_topics_that_a_killed_restore_left_are_refused(ends: tuple[int, ...]) -> None:
    """With less than the backup in them every command would be sent again, or facts would take others' offsets."""
    with pytest.raises(InputError, match="delete all topics of the fleet"):
        are_empty(WANTED, dict(zip(("facts", "decisions", "commands", "evidence"), ends, strict=True)), [])


def test_topics_that_still_take_their_producers_stamps_are_refused() -> None:
    """A restore that was killed behind the last record left them so; the fold would take its time from anybody."""
    with pytest.raises(InputError, match="facts has the stamps of a restore"):
        are_empty(WANTED, {"facts": 9, "decisions": 5, "commands": 3, "evidence": 0}, ["facts"])


async def test_a_restore_that_is_killed_leaves_no_manifest_without_its_files(tmp_path: Path) -> None:
    """The manifest makes files an event log, so it is put back last: one that names what is missing is never there."""
    _, copy = await backed_up(tmp_path)
    order = [one.path for one in backup.in_order(backup.read(copy).files)]
    assert order[-1] == "log/manifest.json"


async def test_secrets_are_nobody_elses_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the copy of a key nor what is put back is readable by others for a moment, nor is either directory."""
    monkeypatch.setattr(Path, "chmod", lambda *_: pytest.fail("readable until then"))
    _, copy = await backed_up(tmp_path)
    backup.put_back(copy, home := tmp_path / "home")
    assert {path.stat().st_mode & 0o777 for path in (copy / "web" / "key", home / "web" / "key")} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (copy, home)} == {0o700}
