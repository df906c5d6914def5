"""The log as it was: every view, at times and at offsets, beside a log that really ended there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from analytics.asof import AsOf, parse
from analytics.views import VIEWS, EventLog
from streams.codec import decode_decision
from streams.core.errors import InputError
from streams.ports import TopicPartition
from tests.analytics.archive import archive, archive_in_stages
from tests.analytics.consulting import consult
from tests.analytics.crew import work_together
from tests.analytics.history import History, story
from tests.analytics.memory_log import MemoryLog
from tests.analytics.people import take_part
from tests.analytics.struggle import struggle

UNTIL_NOW: Final = {"held_seconds", "efficiency"}
"""Columns that go on growing until the wall clock's now in a log that ended long ago."""
SHARES: Final = (0.05, 0.3, 0.7)


def eventful() -> History:
    """Return a history in which most views get rows; decisions are appended 40 ms after their facts, commands 70."""
    history = History()
    history.begin()
    work_together(history, "shop", "database_connection")
    consult(history)
    struggle(history, "cart")
    take_part(history)
    story(history)
    for topic, late_ms in ((history.topics.decisions, 40), (history.topics.commands, 70)):
        where = TopicPartition(topic, 0)
        held = history.log.records[where]
        history.log.records[where] = [replace(one, timestamp=one.timestamp + late_ms) for one in held]
    return history


def ended(history: History, offset: int) -> History:
    """Return the same history with a Kafka that ends with a fact, what was decided on it, and what that sent."""
    topics, records = history.topics, history.log.records
    facts = [one for one in records[TopicPartition(topics.facts, 0)] if one.offset <= offset]
    decisions = [
        one
        for one in records[TopicPartition(topics.decisions, 0)]
        if decode_decision(one.value or b"").facts_offset <= offset
    ]
    last = decisions[-1].offset if decisions else -1
    sent = records[TopicPartition(topics.commands, 0)]
    commands = [one for one in sent if int(dict(one.headers)["decisions_offset"]) <= last]
    evidence = [one for one in records[TopicPartition(topics.evidence, 0)] if one.timestamp <= facts[-1].timestamp]
    short = History()
    kept = {topics.facts: facts, topics.decisions: decisions, topics.commands: commands, topics.evidence: evidence}
    short.log = MemoryLog(records={TopicPartition(topic, 0): list(some) for topic, some in kept.items()})
    return short


@pytest.fixture(scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, Path]:
    """Return a history and its archive, in many segments."""
    history, directory = eventful(), tmp_path_factory.mktemp("whole")
    await archive_in_stages(history, directory, 4)
    return history, directory


def shown(directory: Path, as_of: AsOf | None = None) -> dict[str, list[str]]:
    """Return the rows of every view as text, in an order of their own."""
    found = {}
    with EventLog(directory, as_of) as log:
        for view in VIEWS:
            frame = log.query(f"FROM {view}")
            found[view] = sorted(map(repr, frame.drop(UNTIL_NOW.intersection(frame.columns)).rows()))
    return found


@pytest.mark.parametrize("share", SHARES)
async def test_at_an_offset_it_is_the_log_that_ended_there(
    whole: tuple[History, Path], tmp_path: Path, share: float
) -> None:
    """Every view at an offset of the facts has the rows that it has in a log that ended with that fact."""
    history, directory = whole
    facts = history.log.records[TopicPartition(history.topics.facts, 0)]
    offset = facts[int((len(facts) - 1) * share)].offset
    await archive(ended(history, offset), tmp_path)
    assert shown(directory, offset) == shown(tmp_path)


@pytest.mark.parametrize("share", SHARES[1:])
async def test_at_a_time_it_is_the_log_that_was_archived_then(
    whole: tuple[History, Path], tmp_path: Path, share: float
) -> None:
    """Every view at a time has the rows that it has in a log of all that was in Kafka by then."""
    history, directory = whole
    stamps = [one.timestamp for one in history.log.records[TopicPartition(history.topics.decisions, 0)]]
    moment_ms = stamps[int((len(stamps) - 1) * share)]
    history.log.horizon_ms = moment_ms
    try:
        await archive(history, tmp_path)
    finally:
        history.log.horizon_ms = 1 << 62
    assert shown(directory, datetime.fromtimestamp(moment_ms / 1000, UTC)) == shown(tmp_path)


async def test_before_the_log_there_is_nothing(whole: tuple[History, Path]) -> None:
    """At a time before the first record every view is empty."""
    _, directory = whole
    assert [view for view, rows in shown(directory, datetime(2020, 1, 1, tzinfo=UTC)).items() if rows] == []


async def test_after_the_log_there_is_all_of_it(whole: tuple[History, Path]) -> None:
    """An offset that is not reached yet shows the whole log."""
    _, directory = whole
    assert shown(directory, 1 << 40) == shown(directory)


async def test_now_is_then(whole: tuple[History, Path]) -> None:
    """Who asks for the last days of a log as it was gets the days before that moment; what lasts, lasts until then."""
    history, directory = whole
    facts = history.log.records[TopicPartition(history.topics.facts, 0)]
    spawned = next(one for one in history.decisions if one.kind == "spawned")
    fact = next(one for one in facts if one.offset > spawned.facts_offset and one.timestamp > facts[0].timestamp)
    with EventLog(directory, fact.offset) as log:
        now, held = log.query("SELECT present(), max(held_seconds) FROM specialists").row(0)
        ages = log.query("SELECT epoch_ms(present() - min(spawned_at)) / 1000 FROM specialists").item()
    assert now.replace(tzinfo=UTC) == datetime.fromtimestamp(fact.timestamp / 1000, UTC)
    assert held == max(ages, 0)


async def test_what_was_shown_stays_shown(tmp_path: Path) -> None:
    """Records that are archived later do not change what a reader of an earlier moment sees."""
    history = eventful()
    facts = history.log.records[TopicPartition(history.topics.facts, 0)]
    middle = facts[len(facts) // 2]
    history.log.horizon_ms = middle.timestamp + 1_000
    await archive(history, tmp_path)
    with EventLog(tmp_path, middle.offset) as log:
        before = log.query("FROM decisions ORDER BY seq")
        history.log.horizon_ms = 1 << 62
        await archive(history, tmp_path)
        after = log.query("FROM decisions ORDER BY seq")
    assert before.height > 0
    assert after.rows() == before.rows()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("42", 42),
        ("2026-11-20T10:00", datetime(2026, 11, 20, 10)),  # noqa: DTZ001 - without a zone, as it is given
        ("2026-11-20", datetime(2026, 11, 20)),  # noqa: DTZ001 - without a zone, as it is given
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read(text: str, moment: AsOf) -> None:
    """Digits are an offset, everything else is a time."""
    assert parse(text) == moment


@pytest.mark.parametrize("text", ["", "-1", "yesterday", "2026-13-01", "1e9", "9" * 19, "9" * 5_000])
def test_what_is_no_moment_is_refused(text: str) -> None:
    """What is neither an offset nor a time is an error that shows how a time is written."""
    with pytest.raises(InputError, match="neither an offset of the facts nor a time such as 2026"):
        parse(text)
