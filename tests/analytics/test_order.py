"""Decisions lie apart by kind in merged files; whoever asks, checks or recomputes the log is told the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics import compact
from analytics.manifest import SEGMENTS, load
from analytics.order import APART, MINUTELY, groups, in_order, rows_in_order
from analytics.replay import replay
from analytics.tables import Row, to_parquet
from analytics.verify import verify
from analytics.views import VIEWS, EventLog
from benchmarks.queries import fleet
from streams.catalogue import strategies
from streams.core.fold import Fold
from streams.core.kinds import DECISION_KINDS
from tests.analytics.archive import archive_in_stages, archived, in_kafka
from tests.analytics.history import History

Groups = Callable[[str, Sequence[Any]], Iterator[Any]]
STAGES = 9


def as_they_came(table: str, files: Sequence[Any]) -> Iterator[Any]:
    """Return the one row group that releases before made of what is merged."""
    yield pa.concat_tables(files).combine_chunks()


@pytest.fixture(scope="module")
def history() -> History:
    """Return a fleet that is measured every minute, and has incidents."""
    return fleet()


@pytest.fixture(scope="module")
async def logs(history: History, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the same log three times: never merged, laid apart, and every other merged file as releases before did."""
    made: dict[str, Path] = {}
    for name, fan_in, group in (
        ("never", 1000, groups),
        ("apart", 4, groups),
        ("mixed", 4, by_turns()),
    ):
        made[name] = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compact, "FAN_IN", fan_in)
            patch.setattr(compact, "groups", group)
            await archive_in_stages(history, made[name], STAGES)
    return made


@pytest.fixture(scope="module")
def readers(logs: dict[str, Path]) -> Iterator[list[EventLog]]:
    """Return a reader of each log."""
    opened = [EventLog(directory) for directory in logs.values()]
    yield opened
    for one in opened:
        one.close()


def by_turns() -> Groups:
    """Return what lays every other file apart."""
    turns = cycle((groups, as_they_came))

    def taken(table: str, files: Sequence[Any]) -> Iterator[Any]:
        return (next(turns) if table == APART else groups)(table, files)

    return taken


def laid(path: Path) -> list[tuple[frozenset[str], list[int]]]:
    """Return the kinds and the offsets of each row group of a file of decisions."""
    with pq.ParquetFile(path) as source:
        read = [source.read_row_group(number) for number in range(source.num_row_groups)]
    return [(frozenset(one["kind"].to_pylist()), one["kafka_offset"].to_pylist()) for one in read]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_the_same_however_its_rows_lie(readers: list[EventLog], view: str) -> None:
    """Merged or not, laid apart or not, or some files so and some so: a view has the same rows."""
    first, *others = (sorted(map(repr, log.query(f"FROM {view}").iter_rows())) for log in readers)
    assert others == [first] * 2


@pytest.mark.parametrize("name", ["never", "apart", "mixed"])
async def test_the_log_is_checked_and_recomputed_in_its_order(
    history: History, logs: dict[str, Path], name: str
) -> None:
    """However rows lie, ``verify`` finds nothing, ``replay`` no difference, and every record is there once."""
    assert archived(logs[name]) == in_kafka(history)
    assert (await verify(logs[name], history.log)).findings == ()
    assert replay(logs[name], lambda: Fold.new(strategies())).ok


async def test_minutely_kinds_have_row_groups_of_their_own(logs: dict[str, Path]) -> None:
    """In a merged file no row group has a minutely kind together with another, and offsets rise in each."""
    merged = [one for one in load(logs["apart"]).stream("decisions").segments if one.level > 0]
    found = [group for one in merged for file in one.files for group in laid(logs["apart"] / SEGMENTS / file.name)]
    assert {"assessed"} in [kinds for kinds, _ in found]
    assert [kinds for kinds, _ in found if len(kinds) > 1 and kinds & set(MINUTELY)] == []
    assert [offsets for _, offsets in found if offsets != sorted(offsets)] == []


def test_views_leave_out_what_lies_apart(readers: list[EventLog]) -> None:
    """The views call the kinds minutely that lie apart, and no other."""
    kinds = "SELECT kind FROM (SELECT unnest($kinds) AS kind) WHERE minutely(kind) ORDER BY kind"
    found = readers[0].query(kinds, {"kinds": list(DECISION_KINDS)})
    assert tuple(found["kind"]) == MINUTELY


@pytest.mark.parametrize("seed", range(5))
def test_rows_come_back_in_order(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From files of many row groups, merged again and again, all rows come in order of offsets, in whatever steps."""
    monkeypatch.setattr("analytics.order.GROUP_ROWS", 7)
    chance = random.Random(seed)
    kinds = [*MINUTELY, "commanded", "verified"]
    rows: list[Row] = [{"kafka_offset": number * 2, "kind": chance.choice(kinds)} for number in range(200)]
    files = [pa.Table.from_pylist(rows[begin : begin + 25]) for begin in range(0, 200, 25)]
    while len(files) > 1:
        path = tmp_path / f"{len(files)}.parquet"
        path.write_bytes(to_parquet(groups("decisions", files[:3])))
        with pq.ParquetFile(path) as source:
            files = [source.read(), *files[3:]]
            assert list(rows_in_order(source, ["kind"], 4)) == rows[: files[0].num_rows]
    step = chance.randint(1, 60)
    sliced = in_order("decisions", files[0])
    assert [row for begin in range(0, 200, step) for row in sliced.slice(begin, step).to_pylist()] == rows
