"""Each question gets one opinion of each advisor that it asks, whatever happens to the process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from streams.advise.dossier import Dossier
from streams.advise.inbox import Inbox
from streams.advise.loop import OLD_MS, Loop
from streams.advise.scout import Scout, bare
from streams.codec import encode
from streams.core.advice import ADVISORS
from streams.core.events import Decision, Figure
from streams.ports import Outgoing, TopicPartition
from tests.advise.cases import question
from tests.advise.models import Model, Waiting, case_of, desk_of, opinion
from tests.advise.topics import TOPICS, PolledLog, advising, until

WAIT_MS = 60_000


def asked(number: int = 0, reason: str = "one", wait_ms: float = WAIT_MS, **fields: Any) -> Decision:
    """Return the question of an incident."""
    figures = (Figure(name="phase", value=2.0), Figure(name="wait_ms", value=wait_ms))
    return question(seq=number, id=f"1-{number}-0", incident=f"1-{number}-9", reason=reason, figures=figures, **fields)


@pytest.fixture
def log() -> PolledLog:
    """Return an empty Kafka."""
    return PolledLog()


class _NoLog(Scout):
    """Research where there is no event log: at once, what the question says."""

    async def dossier(self, question: Decision, patience_s: float) -> Dossier:
        """Return what the question says."""
        return bare(question)


@pytest.fixture
def scout(tmp_path: Path) -> Scout:
    """Return a scout without a log."""
    return _NoLog(tmp_path / "log", str)


async def test_one_advisor_is_asked_and_its_opinion_recorded(log: PolledLog, scout: Scout, tmp_path: Path) -> None:
    """The opinion names question, advisor, provider and bill; its rationale is redacted evidence at its coordinate."""
    said = opinion("process.rollback_config", 0.7, suspect="shop", cause="configuration_error", rationale="pw hunter2")
    async with advising(log, desk_of(Model(lambda _: said), tmp_path), scout):
        log.ask(asked(4))
        await until(lambda: log.rationales)
    (given,) = log.opinions
    assert (given.question_id, given.advisor, given.source, given.code) == ("1-4-0", "root_cause", "model", "")
    assert (given.action, given.suspect, given.cause) == ("process.rollback_config", "shop", "configuration_error")
    assert (given.provider, given.model, given.confidence) == ("openai", "test-model", 0.7)
    assert (given.tokens_in, given.tokens_out, given.cost_microusd) == (900, 90, 990)
    assert len(given.answer_sha256) == 64
    (evidence,) = log.rationales
    inbox = log.records[TopicPartition(TOPICS.inbox_advice, 0)]
    assert inbox[evidence.offset].value == encode(given)
    assert (evidence.topic, evidence.text) == (TOPICS.inbox_advice, "pw [password]")


async def test_three_are_asked_at_once_and_blind(log: PolledLog, scout: Scout, tmp_path: Path) -> None:
    """All three are asked before any has answered, each with its own brief and the same case."""
    model = Waiting(opinion("process.restart"))
    async with advising(log, desk_of(model, tmp_path), scout):
        log.ask(asked(reason="three"))
        await until(lambda: len(model.asked) == len(ADVISORS))
        assert log.opinions == []
        model.go_on.set()
        await until(lambda: len(log.opinions) == len(ADVISORS))
    assert sorted(one.advisor for one in log.opinions) == sorted(ADVISORS)
    assert len({prompt.system for prompt in model.asked}) == len(ADVISORS)
    assert len({prompt.user for prompt in model.asked}) == 1


@pytest.mark.parametrize(
    ("text", "code", "source"),
    [
        (opinion("process.stop"), "not_allowed", "none"),
        (opinion("rm -rf /"), "not_allowed", "none"),
        (opinion("escalate"), "not_allowed", "none"),
        ("I would restart it.", "bad_answer", "none"),
        (opinion(""), "", "model"),
    ],
)
async def test_who_has_no_opinion_abstains(
    log: PolledLog, scout: Scout, tmp_path: Path, text: str, code: str, source: str
) -> None:
    """An answer that names no option of the question is an abstention with its code."""
    async with advising(log, desk_of(Model(lambda _: text), tmp_path), scout):
        log.ask(asked())
        await until(lambda: log.opinions)
    (given,) = log.opinions
    assert (given.action, given.code, given.source) == ("", code, source)


async def test_what_fails_is_an_abstention_too(log: PolledLog, scout: Scout, tmp_path: Path) -> None:
    """A mistake of ours at one question is an abstention, and the next one is answered."""

    def think(_prompt: object) -> str:
        if len(model.asked) == 1:
            raise RuntimeError
        return opinion("process.restart")

    model = Model(think)
    async with advising(log, desk_of(model, tmp_path), scout):
        log.ask(asked(1))
        await until(lambda: log.opinions)
        log.ask(asked(2))
        await until(lambda: len(log.opinions) == 2)
    assert [(one.action, one.code) for one in log.opinions] == [("", "failed"), ("process.restart", "")]


async def test_a_restart_answers_nothing_twice(log: PolledLog, scout: Scout, tmp_path: Path) -> None:
    """What was answered is not answered again, what was not is; of three advisors those that are missing."""
    model = Model(lambda _: opinion("process.restart"))
    async with advising(log, desk_of(model, tmp_path), scout):
        log.ask(asked(1))
        await until(lambda: len(log.opinions) == 1)
    three = asked(2, reason="three")
    log.ask(three)
    given = replace(log.opinions[0], question_id=three.id, advisor="unusual_causes")
    log.put(Outgoing(TOPICS.inbox_advice, encode(given), b""))
    async with advising(log, desk_of(model, tmp_path), scout):
        await until(lambda: len(log.opinions) == 4)
        log.ask(asked(3))
        await until(lambda: len(log.opinions) == 5)
    pairs = [(one.question_id, one.advisor) for one in log.opinions]
    assert len(set(pairs)) == len(pairs)
    assert {advisor for id_, advisor in pairs if id_ == three.id} == set(ADVISORS)


async def test_what_is_too_old_is_not_answered(log: PolledLog, scout: Scout, tmp_path: Path) -> None:
    """A question whose time is over is passed over, by the broker's clock, whatever this host's says."""
    behind_ms = 7_000_000
    log.ask(asked(1))
    log.now_ms += WAIT_MS - 500
    log.ask(asked(2))
    model = Model(lambda _: opinion("process.restart"))
    async with advising(log, desk_of(model, tmp_path), scout, lambda: log.now_ms - behind_ms):
        await until(lambda: log.opinions)
    assert [one.question_id for one in log.opinions] == ["1-2-0"]
    assert abs(log.opinions[0].asked_ms - log.now_ms) < 1_000


async def test_a_long_log_is_not_read_from_its_beginning(log: PolledLog, scout: Scout, tmp_path: Path) -> None:
    """Of thousands of old decisions only the newest are read, and no question of the last ten minutes is missed."""
    log.fetch_max = 500
    for number in range(5_000):
        log.now_ms += 100
        log.ask(asked(number, wait_ms=0.0))
    log.now_ms += OLD_MS
    log.ask(asked(9_999))
    read: list[int] = []
    reading = log.read

    async def reads(where: TopicPartition, start: int, end: int) -> Any:
        records = await reading(where, start, end)
        if where.topic == TOPICS.decisions:
            read.extend(record.offset for record in records)
        return records

    log.read = reads  # type: ignore[method-assign]  # to see what is read
    async with advising(log, desk_of(Model(lambda _: opinion("process.restart")), tmp_path), scout):
        await until(lambda: log.opinions)
    assert log.opinions[0].question_id == "1-9999-0"
    assert min(read) > 2_500


@pytest.mark.parametrize("kind", ["advice_settled", "incident_closed", "escalated"])
async def test_nobody_is_kept_busy_for_what_is_over(log: PolledLog, scout: Scout, tmp_path: Path, kind: str) -> None:
    """When its incident is closed or its question settled, an advisor is not waited for, and says nothing."""
    model = Waiting(opinion("process.restart"))
    async with advising(log, desk_of(model, tmp_path), scout):
        log.ask(asked(1))
        await model.heard.wait()
        log.ask(replace(asked(1), seq=2, id="1-2-0", kind=kind))
        log.ask(asked(3))
        await until(lambda: len(model.asked) == 2)
        model.go_on.set()
        await until(lambda: log.opinions)
    assert [one.question_id for one in log.opinions] == ["1-3-0"]


async def test_it_says_who_is_there(log: PolledLog, scout: Scout, tmp_path: Path) -> None:
    """At its start it names the three advisors, at its end nobody."""
    async with advising(log, desk_of(Model(lambda _: ""), tmp_path), scout):
        assert [(one.host, one.advisors, one.model) for one in log.reports] == [("h1", ADVISORS, "test-model")]
    assert log.reports[-1].advisors == ()


async def test_a_kill_at_any_append_loses_and_doubles_nothing(log: PolledLog, scout: Scout, tmp_path: Path) -> None:
    """Killed before or after each append, a restarted process leaves exactly one opinion for each of ten questions."""
    questions = [asked(number) for number in range(10)]
    for one in questions:
        log.ask(one)
    model = Model(lambda _: opinion("process.restart", rationale="because"))
    for kill_at in range(24):
        killed = _Killed(log, kill_at // 2, before=bool(kill_at % 2))
        loop = Loop(killed, TOPICS, desk_of(model, tmp_path), scout, "h1", lambda: log.now_ms)
        task = asyncio.create_task(loop.run(asyncio.Event()))
        await until(lambda: killed.is_dead or len(log.opinions) == len(questions))  # noqa: B023 - waited for here
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with advising(log, desk_of(model, tmp_path), scout):
        await until(lambda: len(log.opinions) >= len(questions))
    ids = [one.question_id for one in log.opinions]
    assert sorted(ids) == sorted(one.id for one in questions)


class _Killed(PolledLog):
    """A log whose process dies at its n-th append, before or after the broker has it."""

    def __init__(self, log: PolledLog, at: int, *, before: bool) -> None:
        super().__init__(now_ms=log.now_ms, fetch_max=log.fetch_max, records=log.records, earliest=log.earliest)
        self.is_dead = False
        self._left = at
        self._before = before

    async def append(self, records: Any) -> Any:
        """Append, or die."""
        self._left -= 1
        if self._left < 0 and (self._before or self.is_dead):
            await self._die()
        offsets = await super().append(records)
        if self._left < 0:
            await self._die()
        return offsets

    async def _die(self) -> None:
        self.is_dead = True
        await asyncio.Event().wait()


async def test_an_empty_log_keeps_no_question_waiting(log: PolledLog, tmp_path: Path) -> None:
    """Without an event log the case has what the question says, and the question is answered all the same."""
    model = Model(lambda _: opinion("process.restart"))
    scout = Scout(tmp_path / "log", str)
    async with advising(log, desk_of(model, tmp_path), scout):
        log.ask(asked(wait_ms=2_000.0))
        await until(lambda: log.opinions)
    await scout.close()
    case = case_of(model.asked[0])
    assert (case["service"], case["pattern"], case["templates"]) == ("shop", "process_crash", [])


async def test_a_clock_is_compared_with_the_brokers(log: PolledLog) -> None:
    """What time it is, is the broker's: the difference is seen at each report."""
    inbox = Inbox(log, TOPICS, "h1", lambda: log.now_ms + 90_000)
    assert inbox.now_ms - log.now_ms == 90_000
    await inbox.report(ADVISORS, "p", "m")
    assert inbox.now_ms == log.now_ms
