from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from analytics import compact
from analytics.manifest import SEGMENTS, load
from analytics.replay import ReplayReport, replay
from analytics.verify import verify
from streams.catalogue import strategies
from streams.codec import decode_decision, encode
from streams.core.chain import sha256_of
from streams.core.errors import InputError
from streams.core.events import Decision
from streams.core.fold import Fold
from streams.ports import Outgoing, TopicPartition
from tests.analytics.archive import archive, archive_in_stages
from tests.analytics.history import History, story, wander
from tests.replaying import HASH_SEEDS
from tests.replaying import replayed as replayed_by


def new_fold() -> Fold:
    """Return a fold with the shipped tables."""
    return Fold.new(strategies())


async def replayed(history: History, directory: Path) -> ReplayReport:
    """Archive a history and replay it."""
    return replay(await archive(history, directory), new_fold)


def edit_chain(history: History, edit: Callable[[Decision], Decision]) -> None:
    """Edit recorded decisions and make every hash after them fit, in Kafka itself."""
    where = TopicPartition(history.topics.decisions, 0)
    head = ""
    for place, record in enumerate(history.log.records[where]):
        decision = edit(decode_decision(record.value or b""))
        decision = msgspec.structs.replace(decision, previous_sha256=head)
        head = sha256_of(decision)
        history.log.records[where][place] = msgspec.structs.replace(record, value=encode(decision))


@pytest.mark.parametrize("seed", range(5))
async def test_the_same_facts_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Every recorded decision is computed again, byte for byte, from a log that was merged meanwhile."""
    monkeypatch.setattr(compact, "FAN_IN", 3)
    history = wander(seed, facts=200)
    await archive_in_stages(history, tmp_path, 9)
    report = replay(tmp_path, new_fold)
    assert report.ok
    assert (report.decisions, report.tail) == (len(history.decisions), 0)
    assert report.facts == history.fold.directory.facts_offset


async def test_one_edited_score_is_found(tmp_path: Path) -> None:
    """One score edited and every hash made to fit passes verify, and replay names its field."""
    history = story()
    victim = next(decision for decision in history.decisions if decision.options)

    def edit(decision: Decision) -> Decision:
        if decision.seq != victim.seq:
            return decision
        options = list(decision.options)
        options[1] = msgspec.structs.replace(options[1], score=0.5)
        return msgspec.structs.replace(decision, options=tuple(options))

    edit_chain(history, edit)
    report = await replayed(history, tmp_path)
    assert (await verify(tmp_path, history.log)).ok
    assert not report.ok
    (difference,) = report.differences
    assert (difference.seq, [field.name for field in difference.fields]) == (victim.seq, ["options[1].score"])
    assert difference.fields[0].recorded == "0.5"
    assert report.chained == len(history.decisions) - victim.seq - 1


async def test_a_decision_left_out_is_found(tmp_path: Path) -> None:
    """A decision taken out, with numbers and hashes made to fit, is found."""
    history = story()
    where = TopicPartition(history.topics.decisions, 0)
    del history.log.records[where][9:]
    last = history.log.records[where][8]
    history.log.records[where][8] = msgspec.structs.replace(
        last,
        value=encode(
            msgspec.structs.replace(history.decisions[9], seq=8, previous_sha256=history.decisions[8].previous_sha256)
        ),
    )
    report = await replayed(history, tmp_path)
    first = report.differences[0]
    assert (first.id, first.fields[0].recorded) == (history.decisions[8].id, "(none)")


async def test_a_rejected_fact_is_rejected_again(tmp_path: Path) -> None:
    """A fact that was recorded as rejected is honoured, be it no fact at all."""
    history = History()
    history.begin()
    history.see("shop", "process_crash")
    offset = history.log.put(Outgoing(history.topics.facts, b"\x00nonsense"))
    history.record(history.fold.reject(None, offset, history.now_ms, "InputError"))
    history.calm("shop", 20)
    report = await replayed(history, tmp_path)
    assert report.ok
    assert report.decisions == len(history.decisions)


async def test_what_is_no_fact_ends_a_replay(tmp_path: Path) -> None:
    """A record that is no fact, without a recorded rejection, is a problem that names its offset."""
    history = History()
    history.begin()
    offset = history.log.put(Outgoing(history.topics.facts, b"\x00nonsense"))
    report = await replayed(history, tmp_path)
    assert not report.ok
    assert report.problem.startswith(f"at fact {offset}: this is no fact")


async def test_decisions_not_archived_yet_are_the_tail(tmp_path: Path) -> None:
    """What decide had not yet appended is counted as the tail and is no difference."""
    history = story()
    where = TopicPartition(history.topics.decisions, 0)
    del history.log.records[where][-3:]
    report = await replayed(history, tmp_path)
    assert report.ok
    assert report.tail == 3


async def test_no_log_is_not_identical(tmp_path: Path) -> None:
    """A directory without a manifest is no event log, rather than one in which nothing differs."""
    with pytest.raises(InputError, match=r"there is no event log in .*/nowhere$"):
        replay(tmp_path / "nowhere", new_fold)


@pytest.mark.parametrize("table", ["facts", "decisions"])
async def test_a_missing_file_is_named(tmp_path: Path, table: str) -> None:
    """A segment that is gone ends a replay with its name and what to do."""
    await archive(story(), tmp_path)
    name = load(tmp_path).files(table)[0].name
    (tmp_path / SEGMENTS / name).unlink()
    assert replay(tmp_path, new_fold).problem == f"{name} is missing or damaged: run logmend verify"


async def test_a_broken_past_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of older epochs the chain is checked: where it breaks, replay says so and ends."""
    history = story()
    await archive(history, tmp_path)
    file = load(tmp_path).files("decisions")[0]
    path = tmp_path / SEGMENTS / file.name
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    monkeypatch.setattr("streams.core.fold.EPOCH", 2)
    assert "does not continue the chain" in replay(tmp_path, new_fold).problem


async def test_another_epoch_is_named(tmp_path: Path) -> None:
    """Decisions of another epoch that this release computes otherwise are named, not listed as differences."""
    history = story()
    edit_chain(history, lambda decision: msgspec.structs.replace(decision, epoch=77))
    report = await replayed(history, tmp_path)
    assert "epoch 77" in report.problem
    assert not report.ok


async def test_any_hash_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """``logmend replay --verify`` under three seeds of hashes computes the recorded bytes."""
    history = wander(4, facts=150)
    await archive(history, tmp_path / "log")
    said = [replayed_by(Path(sys.executable), tmp_path, seed) for seed in HASH_SEEDS]
    assert {one.ok for one in said} == {True}
    assert {one.text.splitlines()[-1].split(" from ")[0] for one in said} == {
        f"identical: {len(history.decisions)} decisions recomputed"
    }
