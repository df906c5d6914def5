"""A change of epoch in the fold: who takes part, and what is carried over."""

from __future__ import annotations

import pytest

from streams.catalogue import strategies
from streams.core.chain import sha256_of
from streams.core.directory import Directory
from streams.core.epochs import EpochChanged
from streams.core.errors import InvariantError, OlderEpochError, OtherEpochError, OtherVersionError
from streams.core.events import Fact
from streams.core.fold import Fold, check_epoch
from streams.core.past import Past
from streams.core.slices import Verdict
from tests.core.test_fold import a_world
from tests.core.world import World

CHANGE = EpochChanged(epoch=2, previous=1, release="0.9.0", author="ada", reason="new rules")


def upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a release that decides in epoch 2."""
    monkeypatch.setattr("streams.core.fold.EPOCH", 2)


def a_story() -> World:
    """Return a world in which a crash was acted on, in epoch 1."""
    world = a_world("api")
    world.outcome(world.detect("api", "process_crash")[-1].id)
    return world


def relived(world: World) -> Fold:
    """Return a fold of ours that relived what was decided in a world."""
    past, fold = Past(), Fold.new(strategies())
    for decision in world.decisions:
        past.take(decision)
    for fact, offset, ms in world.facts[: past.facts_offset + 1]:
        fold.relive(fact, offset, ms, past)
    for fact, offset, ms in world.facts[past.facts_offset + 1 :]:
        fold.apply(fact, offset, ms)
    return fold


def follow(world: World, fold: Fold, fact: Fact) -> list[str]:
    """Apply one more fact, and return what is decided on it."""
    return [one.kind for one in fold.apply(fact, len(world.facts), world.ms)]


def test_an_older_release_stops_at_the_change() -> None:
    """The fold raises at the fact, names the release that may go on, and took nothing of it."""
    world = a_story()
    before = world.fold.snapshot()
    with pytest.raises(OtherEpochError, match=r"in epoch 2, .* epoch 1 .* no way back; install release 0\.9\.0"):
        world.fold.apply(CHANGE, len(world.facts), world.ms)
    assert world.fold.snapshot() == before


def test_the_newer_release_goes_on_in_the_same_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first decision is that the epoch changed: the next number, behind the older release's last decision."""
    world = a_story()
    upgraded(monkeypatch)
    fold = relived(world)
    (changed,) = fold.apply(CHANGE, len(world.facts), world.ms)
    last = world.decisions[-1]
    assert (changed.kind, changed.seq, changed.previous_sha256) == ("epoch_changed", last.seq + 1, sha256_of(last))
    assert (changed.epoch, changed.id) == (2, f"2-{len(world.facts)}-0")
    assert changed.reason == "1 to 2, release 0.9.0, by ada: new rules"
    assert (fold.directory.epoch, fold.directory.release) == (2, "0.9.0")


def test_what_was_open_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command of the older release, out when it ended, ends under the newer one by its old id."""
    world = a_world("api")
    command = world.detect("api", "process_crash")[-1]
    upgraded(monkeypatch)
    fold = relived(world)
    assert follow(world, fold, CHANGE) == ["epoch_changed"]
    known = len(world.facts)
    monkeypatch.undo()
    world.outcome(command.id)
    upgraded(monkeypatch)
    decided = [one for fact, offset, ms in world.facts[known:] for one in fold.apply(fact, offset + 1, ms)]
    ended = next(one for one in decided if one.kind == "command_ended")
    assert (ended.refers_to, ended.epoch) == (command.id, 2)


def test_a_second_change_is_a_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two people who upgrade at a time the first has done it; the second decides nothing."""
    world = a_story()
    upgraded(monkeypatch)
    fold = relived(world)
    follow(world, fold, CHANGE)
    assert fold.apply(CHANGE, len(world.facts) + 1, world.ms) == []
    assert Directory(epoch=2).take(CHANGE, 0) is Verdict.REPEATED


def test_a_newer_release_takes_no_part_before_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is to be done first."""
    upgraded(monkeypatch)
    with pytest.raises(OtherEpochError, match=r"in epoch 1, .* then run logmend upgrade"):
        check_epoch(1)


def test_whose_snapshot_it_is_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of an older epoch is another error than one of a newer: the facts can be folded again."""
    older = a_story().fold.snapshot()
    upgraded(monkeypatch)
    with pytest.raises(OlderEpochError):
        Fold.restore(older, strategies())
    newer = Fold.new(strategies()).snapshot()
    monkeypatch.undo()
    with pytest.raises(OtherVersionError):
        Fold.restore(newer, strategies())


def test_a_past_with_a_hole_is_refused() -> None:
    """A decision of the older release that is missing stops the newer one."""
    past = Past()
    with pytest.raises(InvariantError, match="does not continue the chain"):
        past.take(a_story().decisions[1])
