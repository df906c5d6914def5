from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb
import polars as pl
import pytest

from analytics import compact
from analytics import writer as writer_module
from analytics.manifest import MANIFEST, SEGMENTS, load
from analytics.views import VIEWS, EventLog, connect
from analytics.writer import EventLogWriter
from streams.core.errors import InputError
from tests.analytics.ahead import see_coming
from tests.analytics.archive import Clock, archive
from tests.analytics.consulting import consult
from tests.analytics.crew import work_together
from tests.analytics.history import History, story, wander
from tests.analytics.people import take_part
from tests.analytics.struggle import struggle

NAMED_BY_OTHERS: Final = {"last_checked", "last_success", "timestamp"}
"""Times in tables whose columns we did not choose."""


async def test_an_empty_log_has_every_column(tmp_path: Path) -> None:
    """The views of an empty log have the columns and types of a full one."""
    with EventLog(tmp_path) as log:
        empty = {view: log.query(f"FROM {view}") for view in VIEWS}
    assert all(frame.is_empty() for frame in empty.values())
    history = History()
    history.begin()
    see_coming(history)
    work_together(history, "shop", "database_connection")
    consult(history)
    struggle(history, "cart")
    for _ in range(2):
        history.measure("shop", 100.0)
        history.log.now_ms += 60_000
    take_part(history)
    await archive(story(history), tmp_path)
    with EventLog(tmp_path) as log:
        full = {view: log.query(f"FROM {view}") for view in VIEWS}
    assert {view: frame.schema for view, frame in full.items()} == {view: one.schema for view, one in empty.items()}
    assert [view for view, frame in full.items() if frame.is_empty()] == []


def test_every_view_can_be_asked_first(tmp_path: Path) -> None:
    """A view is made with all that it is made of, whichever is asked for first: here the last ones are."""
    with EventLog(tmp_path) as log:
        assert [view for view in reversed(VIEWS) if not log.query(f'SELECT * FROM "{view.upper()}"').is_empty()] == []


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW TABLES",
        "SELECT table_name AS name FROM information_schema.tables WHERE table_name <> 'one of the lines'",
        "SELECT view_name AS name FROM duckdb_views() ANTI JOIN lines ON lines.service = view_name",
    ],
)
def test_who_asks_which_views_there_are_sees_them_all(tmp_path: Path, sql: str) -> None:
    """A list of views has those that nobody has asked for yet."""
    with EventLog(tmp_path) as log:
        assert set(VIEWS) <= set(log.query(sql)["name"])


async def test_times_are_utc_without_a_zone(told: tuple[History, EventLog]) -> None:
    """Every time in every view is a TIMESTAMP, and says what UTC says."""
    history, log = told
    for view in VIEWS:
        for name, kind in log.query(f"FROM {view}").schema.items():
            assert not isinstance(kind, pl.Datetime) or kind.time_zone is None
            assert (name in NAMED_BY_OTHERS or name.endswith("_at")) == isinstance(kind, pl.Datetime), (view, name)
    (caused,) = log.query("SELECT caused_at FROM decisions WHERE seq = 0").row(0)
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=history.decisions[0].append_ms)
    assert caused.replace(tzinfo=UTC) == expected


async def test_a_mad_stamp_is_no_time(tmp_path: Path) -> None:
    """A stamp that no calendar holds is NULL, and does not end the query."""
    history = History()
    history.begin()
    history.log.now_ms = 1 << 62
    history.see("shop", "process_crash")
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT first_at FROM detections").row(0) == (None,)


async def test_incidents_tell_their_story(told: tuple[History, EventLog]) -> None:
    """An incident is one row: what it was, what was done, and how it ended."""
    _, log = told
    rows = log.query("FROM incidents ORDER BY first_seq").to_dicts()
    assert [(row["service"], row["status"], row["healed"], row["actions"]) for row in rows] == [
        ("shop", "healed", True, ["process.restart"]),
        ("cart", "healed", True, ["process.kill_blocker"]),
        ("mail", "open", False, []),
    ]
    assert rows[0]["healed_seconds"] == 126.0
    assert rows[2]["withheld_because"] == "not_halted"
    assert rows[0]["patterns"] == ["process_crash"]


async def test_healing_tells_what_was_done_where_and_whether_it_helped(told: tuple[History, EventLog]) -> None:
    """A command is one row; what the fold verified is verified, with the time of that decision."""
    history, log = told
    rows = log.query("SELECT host, service, action, verified, verified_at IS NOT NULL FROM healing ORDER BY sent_at")
    done = [(command.host, command.service, command.action) for command in history.commands]
    assert rows.rows() == [(*one, True, True) for one in done]
    assert [service for _, service, _ in done] == ["shop", "cart"]


@pytest.mark.parametrize("seed", range(3))
async def test_healing_agrees_with_the_fold(tmp_path: Path, seed: int) -> None:
    """Whatever happened, an action is one row, true or false as its verification was decided, or its outcome failed."""
    history = wander(seed, facts=250)
    await archive(history, tmp_path)
    judged = {one.refers_to: one.kind == "verified" for one in history.decisions if one.kind.startswith("verif")}
    with EventLog(tmp_path) as log:
        rows = log.query("SELECT command, verified, ok FROM healing JOIN commands ON id = command").rows()
    acts = [command.id for command in history.commands if command.kind == "recovery"]
    assert sorted(command for command, _, _ in rows) == sorted(acts)
    for command, verified, ok in rows:
        assert verified is judged.get(command, None if ok is not False else False)


async def test_recoveries_tell_how_long_each_step_took(told: tuple[History, EventLog]) -> None:
    """A command's steps add up to the time from its decision to its outcome; the action's own time is among them."""
    history, log = told
    rows = log.query(
        "SELECT command, act_ms, dispatch_ms + take_ms + act_ms + tell_ms, total_ms, "
        "epoch_ms(reported_at - decided_at) FROM recoveries ORDER BY decided_at"
    ).rows()
    assert [command for command, *_ in rows] == [command.id for command in history.commands]
    for _, act_ms, steps_ms, total_ms, between_ms in rows:
        assert act_ms == 100
        assert steps_ms == total_ms == between_ms > 0


@pytest.mark.parametrize("seed", range(3))
async def test_incidents_agree_with_the_fold(tmp_path: Path, seed: int) -> None:
    """What the view calls open, acting, verifying or escalated is what the fold's own state says."""
    history = wander(seed, facts=250)
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        rows = log.query("SELECT id, status FROM incidents WHERE closed_at IS NULL").rows()
    assert dict(rows) == {one.id: one.status for one in history.fold._state.incidents.by_id.values()}


async def test_every_option_and_gate_is_a_row(told: tuple[History, EventLog]) -> None:
    """Options and gates are as many as in the decisions, and one option of each command is the chosen one."""
    history, log = told
    counted = log.query("SELECT (SELECT count(*) FROM options), (SELECT count(*) FROM gates)").row(0)
    assert counted == (
        sum(len(decision.options) for decision in history.decisions),
        sum(len(decision.gates) for decision in history.decisions),
    )
    chosen = log.query("SELECT decision, action FROM options WHERE chosen AND kind = 'commanded'").rows()
    assert sorted(chosen) == sorted((command.id, command.action) for command in history.commands)


async def test_a_line_said_twice_is_one_line(tmp_path: Path) -> None:
    """Evidence that a second owner appended again is one row of ``lines``."""
    history = story()
    where = next(key for key in history.log.records if key.topic == history.topics.evidence)
    for record in list(history.log.records[where]):
        history.log.records[where].append(record._replace(offset=history.log.records[where][-1].offset + 1))
    await archive(history, tmp_path)
    with EventLog(tmp_path) as log:
        assert log.query("SELECT count(*), count(DISTINCT record_offset) FROM lines").row(0) == (6, 6)


async def test_new_segments_are_seen(tmp_path: Path) -> None:
    """A reader sees what was archived after it was opened."""
    history = story()
    with EventLog(tmp_path) as log:
        assert log.query("SELECT count(*) FROM decisions").item() == 0
        await archive(history, tmp_path)
        assert log.query("SELECT count(*) FROM decisions").item() == len(history.decisions)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY decisions TO '{segments}/x.parquet'",
        "ATTACH '{segments}/x.duckdb'",
        "EXPLAIN ANALYZE COPY decisions TO '{segments}/x.parquet'",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "FROM read_text('/etc/hostname')",
        "FROM read_csv('{log}/manifest.json')",
        "FROM read_parquet('https://example.org/x.parquet')",
        "FROM glob('/etc/*')",
        "",
    ],
)
async def test_questions_reach_nothing_else(told: tuple[History, EventLog], sql: str) -> None:
    """A question can read the log and nothing else, and can write nothing at all."""
    _, log = told
    before = sorted(path.name for path in (log.directory / SEGMENTS).iterdir())
    with pytest.raises(InputError):
        log.query(sql.format(segments=log.directory / SEGMENTS, log=log.directory))
    assert sorted(path.name for path in (log.directory / SEGMENTS).iterdir()) == before


async def test_variables_of_the_program_are_no_tables(told: tuple[History, EventLog]) -> None:
    """A frame in the calling program can't be asked by its name."""
    _, log = told
    secret = pl.DataFrame({"a": [1]})
    with pytest.raises(InputError, match="secret"):
        log.query("FROM secret")
    assert secret.height == 1


async def test_a_wrong_question_is_answered_in_words(told: tuple[History, EventLog]) -> None:
    """What DuckDB can't answer is an input error with DuckDB's own words."""
    _, log = told
    with pytest.raises(InputError, match="nope"):
        log.query("SELECT nope FROM decisions")


async def test_a_question_has_one_gigabyte(told: tuple[History, EventLog]) -> None:
    """A question that needs more memory is refused in one line, and the next one is answered, by two threads."""
    _, log = told
    with pytest.raises(InputError, match=r"^this needs more than 1 GB: add a LIMIT or aggregate$"):
        log.query("SELECT list(range) FROM range(300000000)")
    limits = "SELECT current_setting('memory_limit'), current_setting('threads')"
    assert log.query(limits).row(0) == ("953.6 MiB", 2)


async def test_sums_are_plain_integers(told: tuple[History, EventLog]) -> None:
    """A sum of integers is a 64-bit integer, not a decimal."""
    _, log = told
    frame = log.query("SELECT sum(lines) AS lines FROM facts")
    assert frame.schema == {"lines": pl.Int64}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT INTERVAL 1 DAY AS d, 7 AS n", [("1 day", 7)]),
        ("SELECT [INTERVAL 90 SECOND] AS d", [("['00:01:30']",)]),
        (
            'SELECT i * INTERVAL 1 HOUR AS "a ""b""" FROM range(3) t(i) ORDER BY i DESC LIMIT 2',
            [("02:00:00",), ("01:00:00",)],
        ),
        (
            "SELECT decided_at - happened_at AS took FROM decisions WHERE took IS NOT NULL ORDER BY seq LIMIT 1",
            [("00:00:00.01",)],
        ),
    ],
)
async def test_intervals_are_text(told: tuple[History, EventLog], sql: str, expected: list[tuple[object, ...]]) -> None:
    """The difference of two times, alone or in a list, is its text, and names and order stay as they were asked."""
    _, log = told
    assert log.query(sql).rows() == expected


async def test_odd_directory_names_are_read(tmp_path: Path) -> None:
    """Quotes, blanks and brackets in the directory's name are only a name."""
    history = story()
    directory = await archive(history, tmp_path / "it's [a] log")
    with EventLog(directory) as log:
        assert log.query("SELECT count(*) FROM decisions").item() == len(history.decisions)


async def test_a_plain_connection_has_the_views(tmp_path: Path) -> None:
    """``connect`` gives a DuckDB connection with the views and a locked configuration."""
    history = story()
    connection = connect(await archive(history, tmp_path))
    assert connection.execute("SELECT count(*) FROM incidents").fetchall() == [(3,)]
    with pytest.raises(duckdb.Error):
        connection.execute("SET enable_external_access = true")
    connection.close()


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
