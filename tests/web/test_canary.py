"""Health tells that nothing is decided any more, by the canary's lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.codec import decode_fact
from streams.core.canary import EVERY_MS_MIN, SERVICE
from streams.core.events import Slice
from streams.ports import TopicPartition
from streams.web.canary import ANSWER_MS, Canary
from tests.analytics.history import History
from tests.web.fleet import Fleet
from tests.web.rig import Rig, served


def sing(fleet: History) -> None:
    """Have a line of the canary detected, and decided on if decide does."""
    fleet.see(SERVICE, "out_of_memory")


async def health(rig: Rig) -> tuple[int, str]:
    """Return status code and word."""
    answer = await rig.client.get("/health")
    return answer.status_code, answer.json()["status"]


async def test_health_goes_red_when_decide_hangs_and_green_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line without a decision for a minute makes the web unhealthy; the decision on a later one ends that."""
    fleet = Fleet()
    fleet.begin()
    fleet.catch_up()
    async with served(fleet, tmp_path, archived=False) as rig:
        with monkeypatch.context() as hanging:
            hanging.setattr(fleet, "record", lambda _: None)
            sing(fleet)
            known = fleet.fold.directory.facts_offset
            await rig.sees(lambda: rig.model.directory.facts_offset == known)
            assert await health(rig) == (200, "degraded")
            now_ms = rig.model.now_ms
            hanging.setattr(rig.model.clock, "now_ms", lambda: now_ms + ANSWER_MS + 1)
            assert await health(rig) == (503, "unhealthy")
            fleet.log.now_ms += ANSWER_MS
            hanging.setattr(fleet, "record", lambda decisions: History.record(fleet, decisions))
            sing(fleet)
            await rig.sees(lambda: rig.model.decides)
            assert await health(rig) == (200, "degraded")


async def test_what_was_decided_before_the_web_began_is_known(tmp_path: Path) -> None:
    """Where the decision is in the files alone, and its fact is read again, nothing is missed."""
    fleet = Fleet()
    fleet.begin()
    sing(fleet)
    fleet.catch_up()
    async with served(fleet, tmp_path) as rig:
        assert rig.model.decides


class Listener:
    """What the web sees of a fleet: the facts of the canary's lines, and the decisions on them."""

    def __init__(self) -> None:
        self.fleet = History()
        self.fleet.begin()
        self.canary = Canary()

    def sees(self) -> None:
        """Read the newest fact."""
        record = self.fleet.log.records[TopicPartition(self.fleet.topics.facts, 0)][-1]
        fact = decode_fact(record.value or b"")
        assert isinstance(fact, Slice)
        self.canary.asked(fact, record.offset, record.timestamp)

    def hears(self) -> None:
        """Read the newest decision."""
        assert self.fleet.decisions[-1].kind == "canary_heard"
        self.canary.heard(self.fleet.decisions[-1])

    def is_missed(self) -> bool:
        """Say whether a decision is missed after more than a minute."""
        return self.canary.is_missed(self.fleet.now_ms + 2 * ANSWER_MS)


def test_a_decision_may_be_read_before_its_fact() -> None:
    """Two topics have no common order."""
    web = Listener()
    sing(web.fleet)
    web.hears()
    web.sees()
    assert not web.is_missed()


def test_a_line_that_decide_passes_over_is_not_missed() -> None:
    """Of lines that two hosts send within ten seconds one becomes a decision."""
    web = Listener()
    sing(web.fleet)
    web.sees()
    web.hears()
    web.fleet.log.now_ms += EVERY_MS_MIN // 2
    decided = len(web.fleet.decisions)
    sing(web.fleet)
    assert len(web.fleet.decisions) == decided
    web.sees()
    assert not web.is_missed()


def test_the_decision_on_an_earlier_line_is_no_answer() -> None:
    """Somebody may read of it late: the line that waits still does."""
    web = Listener()
    sing(web.fleet)
    earlier = web.fleet.decisions[-1]
    web.fleet.log.now_ms += 2 * ANSWER_MS
    sing(web.fleet)
    web.sees()
    web.canary.heard(earlier)
    assert web.is_missed()


def test_other_lines_are_none_of_the_canary() -> None:
    """What any other service says asks for nothing."""
    web = Listener()
    web.fleet.see("shop", "out_of_memory")
    web.sees()
    assert not web.is_missed()
