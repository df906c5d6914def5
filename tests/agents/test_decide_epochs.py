"""Decide when the epoch changes: the older release ends behind its last decision, the newer one goes on there."""

from __future__ import annotations

import msgspec
import pytest

from streams.agents.decide import DecideEngine
from streams.agents.rehearsing import rehearse
from streams.codec import encode
from streams.core.chain import sha256_of
from streams.core.epochs import EpochChanged
from streams.core.errors import InputError, InvariantError, OtherEpochError
from streams.core.events import Ticked
from streams.core.fold import Fold
from streams.ports import Outgoing
from tests.agents.test_decide import Stage, some
from tests.sim.scene import CATALOGUE, POISON, TOPICS, fold_for

CHANGE = EpochChanged(epoch=2, previous=1, release="0.9.0", author="ada", reason="test")


def upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a release that decides in epoch 2."""
    monkeypatch.setattr("streams.core.fold.EPOCH", 2)


def chained(stage: Stage) -> bool:
    """Tell whether the recorded decisions are one chain without a hole."""
    found = stage.decisions
    heads = ["", *(sha256_of(one) for one in found)]
    return all(one.seq == n and one.previous_sha256 == heads[n] for n, one in enumerate(found))


def test_the_older_release_appends_what_it_decided_and_ends() -> None:
    """What stands before the change in the same fetch is decided and appended; what stands behind it is not."""
    stage = Stage()
    stage.tell()
    running = stage.owner()
    known = stage.work(running) + len(stage.story.facts)
    some(stage)
    stage.append(CHANGE)
    stage.append(Ticked(owner="o"))
    with pytest.raises(OtherEpochError, match=r"install release 0\.9\.0"):
        stage.go_on(running, known)
    assert [one.kind for one in stage.decisions] == ["config_applied", "incident_opened", "commanded"]


def test_the_newer_release_waits_for_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it, decide of the newer release appends nothing, and names the command."""
    stage = some(Stage())
    stage.work(stage.owner())
    upgraded(monkeypatch)
    with pytest.raises(OtherEpochError, match="run logmend upgrade"):
        stage.work(stage.owner("two"))
    assert len(stage.decisions) == 3


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_the_newer_release_goes_on_in_the_chain(monkeypatch: pytest.MonkeyPatch, *, with_snapshot: bool) -> None:
    """Be there a snapshot of the older one or not, its decisions stay, and one chain goes on behind them."""
    stage = some(Stage())
    first = stage.owner()
    stage.work(first)
    if with_snapshot:
        stage.snapshot(first)
    stage.append(CHANGE)
    upgraded(monkeypatch)
    assert stage.work(stage.owner("two")) == 0
    assert [(one.kind, one.epoch) for one in stage.decisions] == [
        ("config_applied", 1),
        ("incident_opened", 1),
        ("commanded", 1),
        ("epoch_changed", 2),
    ]
    assert chained(stage)


def test_a_restart_of_the_newer_release_appends_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the facts alone, and from a snapshot of its own, it finds its decisions in the log."""
    stage = some(Stage())
    stage.work(stage.owner())
    stage.append(CHANGE)
    upgraded(monkeypatch)
    second = stage.owner("two")
    stage.work(second)
    stage.work(stage.owner("three"))
    stage.snapshot(second)
    assert stage.work(stage.owner("four")) > 0
    assert len(stage.decisions) == 4


def test_what_the_older_release_left_undecided_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts that came after its end, and before the change, are not lost."""
    stage = Stage()
    stage.tell()
    stage.work(stage.owner())
    some(stage)
    stage.append(CHANGE)
    upgraded(monkeypatch)
    stage.work(stage.owner("two"))
    assert [(one.kind, one.epoch) for one in stage.decisions] == [
        ("config_applied", 1),
        ("incident_opened", 2),
        ("commanded", 2),
        ("epoch_changed", 2),
    ]
    assert chained(stage)


def test_the_older_release_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started again behind the newer one it refuses at once, and appends nothing."""
    stage = some(Stage())
    stage.work(stage.owner())
    stage.append(CHANGE)
    with monkeypatch.context() as newer:
        upgraded(newer)
        stage.work(stage.owner("two"))
    with pytest.raises(OtherEpochError, match="no way back"):
        stage.work(stage.owner("three"))
    assert len(stage.decisions) == 4


def test_a_past_that_is_no_chain_stops_the_newer_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """It builds on nothing that was tampered with."""
    stage = some(Stage())
    stage.work(stage.owner())
    stage.append(CHANGE)
    forged = msgspec.structs.replace(stage.decisions[2], seq=3)
    stage.land(Outgoing(TOPICS.decisions, encode(forged), b""))
    upgraded(monkeypatch)
    with pytest.raises(InvariantError, match="does not continue the chain"):
        stage.work(stage.owner("two"))


def test_what_this_release_fails_on_is_known_before_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no way back, so all is relived before: a fact that the fold fails on is named, nothing written."""
    stage = Stage()
    stage.story.normal(POISON)
    stage.story.detect("api", "process_crash")
    stage.tell()
    healthy = DecideEngine(stage.log, TOPICS, [], lambda _: Fold.new(CATALOGUE), "one", lambda: stage.world.now_ms)
    stage.work(healthy)
    upgraded(monkeypatch)
    before = stage.values(TOPICS.facts)
    with pytest.raises(InputError, match=r"fails on fact \d+, .*ZeroDivisionError.* go on with the older one"):
        stage.run(rehearse(stage.log, TOPICS, fold_for(None)))
    stage.run(rehearse(stage.log, TOPICS, Fold.new(CATALOGUE)))
    assert stage.values(TOPICS.facts) == before
