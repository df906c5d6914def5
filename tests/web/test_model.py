"""What the web holds in memory is what the event log says, whatever the history, and never more than its limits."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from analytics.views import EventLog
from analytics.writer import EventLogWriter
from streams.core.beside import Heartbeat
from streams.core.events import ProbeReported
from streams.web import open_incidents
from streams.web.bounded import put
from streams.web.clock import BrokerClock
from streams.web.members import GONE_MS, HOST_GONE_MS, Members
from streams.web.model import Model
from tests.analytics import history
from tests.web.fleet import Fleet, populated
from tests.web.rig import served

INCIDENT = ("service", "host", "pattern", "category", "severity", "status", "phase", "attempts", "lines")


def read(told: history.History) -> Model:
    """Return a model that has taken every decision of a history."""
    model = Model(BrokerClock(lambda: told.now_ms, time.monotonic), told.topics.inbox_people)
    for decision in told.decisions:
        model.decided(decision, decision.append_ms)
    return model


@pytest.fixture(scope="module")
def full() -> Fleet:
    """Return a fleet with something of everything, to tests that only read it."""
    return populated()


async def archive(told: history.History, directory: Path) -> EventLog:
    """Write the event log's files and open them."""
    with EventLogWriter(told.log, told.topics, directory) as writer:
        await writer.flush()
    return EventLog(directory)


@pytest.mark.parametrize("seed", range(12))
async def test_open_incidents_are_those_of_the_view(tmp_path: Path, seed: int) -> None:
    """After any history, memory and view have the same incidents open, in the same state."""
    told = history.wander(seed, 150)
    model = read(told)
    with await archive(told, tmp_path) as log:
        rows = log.query("FROM incidents WHERE closed_at IS NULL ORDER BY first_seq DESC").to_dicts()
    assert [one.id for one in model.incidents()] == [row["id"] for row in rows]
    for one, row in zip(model.incidents(), rows, strict=True):
        assert {name: getattr(one, name) for name in INCIDENT} == {name: row[name] for name in INCIDENT}


@pytest.mark.parametrize("seed", range(6))
async def test_open_escalations_are_those_of_the_view(tmp_path: Path, seed: int) -> None:
    """After any history, memory and view have the same escalations, with the same status."""
    told = history.wander(seed, 250)
    model = read(told)
    with await archive(told, tmp_path) as log:
        rows = log.query("SELECT id, decision, status FROM escalations ORDER BY id").rows()
    held = [(one.id, one.decision_id, one.status) for one in model.all_escalations()]
    assert sorted(held) == rows


async def test_a_web_that_starts_anew_knows_what_one_knows_that_was_there(tmp_path: Path) -> None:
    """From the files and what came since, a new web has what one has that saw everything."""
    told = populated()
    with EventLogWriter(told.log, told.topics, tmp_path / "log") as writer:
        await writer.flush()
    told.see("shop", "process_crash")
    seen = read(told)
    seen.clock.now_ms = lambda: told.now_ms  # type: ignore[method-assign]  # both at one time
    async with served(told, tmp_path, archived=False) as rig:
        await rig.caught_up()
        rig.model.clock.now_ms = lambda: told.now_ms  # type: ignore[method-assign]  # both at one time
        new: Any = rig.model
        for name in ("incidents", "approvals", "escalations", "mutes", "predictions", "exhaustions", "forecasts"):
            assert getattr(new, name)() == getattr(seen, name)(), name
        assert new.halt == seen.halt


async def test_without_files_the_topic_alone_tells_it(tmp_path: Path, full: Fleet) -> None:
    """On a host without the event log's files a web reads the topic from its beginning and knows the same."""
    async with served(full, tmp_path / "elsewhere", archived=False) as rig:
        await rig.caught_up()
        assert [one.id for one in rig.model.incidents()] == [one.id for one in read(full).incidents()]


async def test_a_repeated_decision_counts_once(full: Fleet) -> None:
    """Decisions that stand twice in the topic, after a crash of decide, change nothing the second time."""
    model = read(full)
    before = (model.version, model.incidents(), model.recent())
    for decision in full.decisions[-20:]:
        model.decided(decision, decision.append_ms)
    assert (model.version, model.incidents(), model.recent()) == before


def test_what_is_kept_of_decisions_has_no_hole(full: Fleet) -> None:
    """After a gap only what follows it is kept, so that the files are asked for what is before."""
    model = Model(BrokerClock(lambda: full.now_ms, time.monotonic), full.topics.inbox_people)
    for decision in (*full.decisions[:10], *full.decisions[15:30]):
        model.decided(decision, decision.append_ms)
    assert [one.seq for one in model.recent()] == list(range(15, 30))


def test_memory_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much happens, so many incidents, escalations, approvals and actions are held, the newest ones."""
    names = ("INCIDENTS_MAX", "ESCALATIONS_MAX", "APPROVALS_MAX", "HEALINGS_MAX")
    for name in names:
        monkeypatch.setattr(open_incidents, name, 3)
    told = history.wander(5, 400)
    cases = read(told)._cases
    tables = (cases.incidents, cases.escalations, cases.approvals, cases.healings, cases.weighed, cases.answered)
    assert max(len(table) for table in tables) == 3


def test_the_oldest_goes_first() -> None:
    """A full table loses the key that was put in longest ago."""
    table: dict[int, str] = {}
    for key in (1, 2, 1, 3, 4):
        put(table, key, "x", 3)
    assert list(table) == [1, 3, 4]


class Steady:
    """A clock that is set, in seconds."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def test_the_brokers_clock_is_followed() -> None:
    """Time is the newest record's stamp and what passed since; a record that was under way for long tells nothing."""
    steady = Steady()
    clock = BrokerClock(lambda: 1_000_000, steady)
    assert clock.now_ms() == 1_000_000
    clock.came(700_000)
    steady.now_s += 5
    assert clock.now_ms() == 705_000
    clock.came(702_000)
    assert clock.now_ms() == 705_000
    clock.came(706_500)
    assert clock.now_ms() == 706_500


def test_the_folds_time_is_shown_as_the_brokers() -> None:
    """What the fold's own time reaches later than the broker's is shown as that much later."""
    clock = BrokerClock(lambda: 0, Steady())
    clock.folded(append_ms=5_000_000, now_ms=1_000_000)
    assert clock.of_fold(1_900_000) == 5_900_000


def test_old_records_do_not_set_the_clock(full: Fleet) -> None:
    """Until all that stood in the log at the start is read, stamps are of the past."""
    model = Model(BrokerClock(lambda: 42, time.monotonic), full.topics.inbox_people)
    model.decided(full.decisions[0], full.decisions[0].append_ms)
    assert model.now_ms == 42
    model.caught_up()
    model.decided(full.decisions[1], 4_711_000_000_000)
    assert model.now_ms >= 4_711_000_000_000


def test_a_host_that_is_gone_is_forgotten() -> None:
    """A host without workers is shown for a day after its agent's last word, and one that never had an agent not."""
    members, beat_ms = Members(), 1_780_000_000_000
    for host in ("h1", "h2"):
        beat = Heartbeat(
            worker="critic_001", role="critic", host=host, pid=1, state="idle", tasks=0, errors=0, started_ms=0, at_ms=0
        )
        members.beat(beat, beat_ms)
    at = {"at_ms": beat_ms, "latency_ms": 0}
    members.probed(ProbeReported(host="h1", service="h1", kind="host_cpu", ok=True, code="", **at))
    seen = []
    for now_ms in (beat_ms + GONE_MS, beat_ms + GONE_MS + 1, beat_ms + HOST_GONE_MS, beat_ms + HOST_GONE_MS + 1):
        members.forget(now_ms)
        seen.append([one.name for one in members.hosts(now_ms)])
    assert seen == [["h1", "h2"], ["h1"], ["h1"], []]


async def test_silence_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 30 s without a heartbeat a worker is silent, over 60 hung, after five minutes gone."""
    fleet = Fleet()
    fleet.begin()
    fleet.all_beat()
    async with served(fleet, tmp_path, archived=False) as rig:
        assert await rig.model.until(lambda: bool(rig.model.workers()), 60)
        now_ms = rig.model.now_ms - rig.model.workers()[0].age_ms
        found: list[set[str]] = []
        for after_ms in (30_000, 30_001, 60_000, 60_001, 300_001):
            monkeypatch.setattr(rig.model.clock, "now_ms", partial(int, now_ms + after_ms))
            rig.model.passed()
            found.append({one.status for one in rig.model.workers()})
    assert found == [{"healthy"}, {"silent"}, {"silent"}, {"hung"}, set()]
