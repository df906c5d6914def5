"""Readers while the log changes under them: new segments, merged ones, lost and damaged ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from analytics import compact
from analytics import writer as writer_module
from analytics.manifest import MANIFEST, SEGMENTS, load
from analytics.views import EventLog
from analytics.writer import EventLogWriter
from streams.core.errors import InputError
from tests.analytics.archive import Clock, archive
from tests.analytics.history import story, wander


async def test_new_segments_are_seen(tmp_path: Path) -> None:
    """A reader sees what was archived after it was opened."""
    history = story()
    with EventLog(tmp_path) as log:
        assert log.query("SELECT count(*) FROM decisions").item() == 0
        await archive(history, tmp_path)
        assert log.query("SELECT count(*) FROM decisions").item() == len(history.decisions)


async def test_a_file_merged_away_is_found_under_its_new_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query whose files are removed under it is asked again from the newer manifest."""
    monkeypatch.setattr(compact, "FAN_IN", 2)
    monkeypatch.setattr(writer_module, "GRACE_MS", 0)
    history, clock = story(), Clock()
    with EventLogWriter(history.log, history.topics, tmp_path, clock_ms=clock) as writer:
        history.log.horizon_ms = 1_800_000_201_000
        await writer.flush()
        history.log.horizon_ms = 1 << 62
        await writer.flush()
        with EventLog(tmp_path) as log:
            looks = iter([lambda: False, log.refresh])

            def refresh() -> bool:
                return next(looks)()

            monkeypatch.setattr(log, "refresh", refresh)
            await writer.step()
            assert log.query("SELECT count(*) FROM decisions").item() == len(history.decisions)
    assert next(looks, None) is None, "the merge was not met"


async def test_a_file_missing_for_good_says_verify(damageable: EventLog) -> None:
    """A segment that the newest manifest names but nobody has is an error that says what to do."""
    (damageable.directory / SEGMENTS / load(damageable.directory).files("decisions")[0].name).unlink()
    with pytest.raises(InputError, match="run logmend verify"):
        damageable.query("FROM decisions")


DAMAGE: Final = r"^decisions-\d+-\d+\.parquet is missing or damaged: run logmend verify$"


def cut(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("harm", [Path.unlink, cut])
async def test_damage_says_verify_and_is_overcome(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """A lost or cut segment is named by whoever meets it: a new reader, an old one, one that takes a newer manifest."""
    history = story()
    history.log.horizon_ms = 1_800_000_201_000
    await archive(history, tmp_path)
    segment = tmp_path / SEGMENTS / load(tmp_path).files("decisions")[0].name
    whole = segment.read_bytes()
    with EventLog(tmp_path) as log:
        harm(segment)
        with pytest.raises(InputError, match=DAMAGE):
            log.query("FROM decisions")
        with pytest.raises(InputError, match=DAMAGE):
            EventLog(tmp_path)
        history.log.horizon_ms = 1 << 62
        await archive(history, tmp_path)
        for _ in range(2):
            with pytest.raises(InputError, match=DAMAGE):
                log.refresh()
        segment.write_bytes(whole)
        assert log.query("SELECT count(*) FROM decisions").item() == len(history.decisions)


async def test_a_damaged_manifest_says_so(damageable: EventLog) -> None:
    """A reader does not trust a manifest with a wrong bit."""
    path = damageable.directory / MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"rows": ', b'"rows": 1', 1))
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        damageable.query("FROM decisions")


class Asking(threading.Thread):
    """A reader that asks until told to stop, and once more: every answer must be one moment of the log."""

    def __init__(self, directory: Path, done: threading.Event) -> None:
        super().__init__()
        self._directory, self._done = directory, done
        self.seen: list[int] = []
        self.wrong: list[object] = []

    def run(self) -> None:
        """Ask."""
        sql = """
            SELECT (SELECT count(*) FROM decisions), (SELECT coalesce(max(seq), -1) + 1 FROM decisions),
                (SELECT count(*) FROM commands ANTI JOIN decisions USING (id))
        """
        with EventLog(self._directory) as log:
            last = False
            while not last:
                last = self._done.wait(0.02)
                try:
                    count, end, orphans = log.query(sql).row(0)
                except InputError as error:
                    self.wrong.append(error)
                    return
                if count != end or orphans or (self.seen and count < self.seen[-1]):
                    self.wrong.append((count, end, orphans, self.seen[-1:]))
                self.seen.append(count)


async def test_ten_readers_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten readers at once get dense, growing, consistent answers while segments are written, merged and removed."""
    monkeypatch.setattr(compact, "FAN_IN", 3)
    monkeypatch.setattr(writer_module, "GRACE_MS", 50)
    history, done = wander(7, facts=200), threading.Event()
    stamps = sorted({record.timestamp for held in history.log.records.values() for record in held})
    with EventLogWriter(history.log, history.topics, tmp_path) as writer:
        readers = [Asking(tmp_path, done) for _ in range(10)]
        for reader in readers:
            reader.start()
        for place in range(0, len(stamps), max(1, len(stamps) // 15)):
            history.log.horizon_ms = stamps[place]
            await writer.flush()
            await writer.step()
            await asyncio.sleep(0.02)
        history.log.horizon_ms = 1 << 62
        await writer.flush()
        done.set()
        for reader in readers:
            reader.join()
    assert [wrong for reader in readers for wrong in reader.wrong] == []
    assert all(reader.seen[-1] == len(history.decisions) for reader in readers)
