"""A candidate on live facts: what is compared, what is counted, and what a restart does to it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import asdict, replace

from streams.core.config import Policy
from streams.core.errors import InputError, InvariantError, OlderEpochError
from streams.core.events import Decision, Fact
from streams.core.fold import Fold
from streams.shadow import watch as watch_module
from streams.shadow.journal import FILE, Journal, explained, shadow_dir
from streams.shadow.report import ShadowReport, report
from tests.core.test_fold import QUICK
from tests.shadow.scene import FACTS, Scene, crashed, settled

PASSIVE = replace(QUICK, automatic_recovery=False)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "LOOK_SECONDS", 0.01)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return an empty log and data directory."""
    return Scene(tmp_path)


def counted(found: ShadowReport) -> dict[str, object]:
    """Return what a report says of the comparison, without which run it was and what it has of others."""
    return {name: value for name, value in asdict(found).items() if name not in {"run", "firsts"}}


def test_only_what_comes_from_now_on_is_compared(scene: Scene) -> None:
    """Facts before the start are folded under the log's policy, and none of them is counted."""
    world = crashed(settled(), "api")
    scene.append(world)
    before = len(world.facts)
    found = scene.watch(PASSIVE, crashed(world, "web"))
    assert found.facts == len(world.facts) - before
    assert [(one.service, one.kind, one.action, one.candidate_kind) for one in found.firsts] == [
        ("web", "commanded", "process.restart", "withheld")
    ]


def test_an_equal_candidate_differs_in_nothing(scene: Scene) -> None:
    """The policy in force as a candidate has the share 0."""
    world = settled()
    scene.append(world)
    found = scene.watch(QUICK, crashed(world, "api", "web"))
    assert (found.share, found.share_of_acts, found.incidents_parted, found.incidents_opened) == (0, 0, 0, 2)


def test_a_restart_changes_no_count(tmp_path: Path) -> None:
    """Who stops in the middle and goes on has counted what one has who never stopped."""
    found = []
    for stops in (False, True):
        scene = Scene(tmp_path / str(stops))
        world = settled()
        scene.append(world)
        scene.watch(PASSIVE)
        crashed(world, "api")
        if stops:
            scene.watch(PASSIVE, world)
        found.append(scene.watch(PASSIVE, crashed(world, "web")))
    assert counted(found[0]) == counted(found[1])
    assert (found[1].run, found[1].incidents_parted) == (1, 2)


def test_a_snapshot_saves_reading_all_facts(scene: Scene) -> None:
    """With the facts before the newest snapshot gone, comparing begins there as ever."""
    world = crashed(settled(), "api")
    scene.append(world)
    scene.save(world)
    scene.log.delete_below(FACTS, len(world.facts))
    assert scene.watch(PASSIVE, crashed(world, "web")).incidents_parted == 1


def test_facts_that_can_not_be_folded_any_more_are_missed(scene: Scene) -> None:
    """Who was away until its facts were gone goes on at the oldest snapshot, and says how many it missed."""
    world = settled()
    scene.append(world)
    scene.watch(PASSIVE)
    began = len(world.facts)
    scene.append(crashed(world, "api"))
    scene.save(world)
    away = len(world.facts) - began
    scene.log.delete_below(FACTS, len(world.facts))
    found = scene.watch(PASSIVE, crashed(world, "web"))
    assert (found.missed, found.incidents_parted) == (away, 1)


def test_without_a_snapshot_deleted_facts_are_an_error(scene: Scene) -> None:
    """Facts that begin later than any snapshot reaches can't be folded."""
    world = crashed(settled(), "api")
    scene.append(world)
    scene.log.delete_below(FACTS, 3)
    with pytest.raises(InvariantError, match="no snapshot reaches there"):
        scene.watch(PASSIVE)


def test_what_an_older_epoch_left_is_not_begun_with(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folded by our rules from the beginning, the facts give another state than the log's: it waits for decide's."""
    world = settled()
    scene.append(world)
    scene.save(world)
    monkeypatch.setattr("streams.core.fold.EPOCH", 2)
    with pytest.raises(OlderEpochError, match="of epoch 1; ours is 2"):
        scene.watch(PASSIVE, crashed(world, "web"))


def test_another_candidate_begins_another_run(scene: Scene) -> None:
    """The run before stays, and can be asked for by its number."""
    world = settled()
    scene.append(world)
    scene.watch(PASSIVE, crashed(world, "api"))
    second = scene.watch(QUICK, crashed(world, "web"))
    assert (second.run, second.incidents_parted) == (2, 0)
    assert report(shadow_dir(scene.directory), 1).incidents_parted == 1


def test_what_would_be_said_again_counts_once(scene: Scene) -> None:
    """A candidate that would have acted by now says so once, however many facts go by."""
    world = settled(PASSIVE)
    scene.append(world)
    for _ in range(20):
        world.detect("api", "process_crash")
        world.wait(5)
    found = scene.watch(QUICK, world)
    assert found.incidents_parted == 1
    assert found.differing < 5


def test_a_fact_that_the_log_rejects_is_rejected(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log's fold fails, both reject the fact as decide does; nothing differs and counting goes on."""
    world = settled()
    scene.append(world)
    bad = len(world.facts) + 1
    apply = Fold.apply

    def failing(fold: Fold, fact: Fact, offset: int, append_ms: int) -> list[Decision]:
        if offset == bad and offset >= fold.directory.facts_offset:
            raise ZeroDivisionError
        return apply(fold, fact, offset, append_ms)

    crashed(world, "api")
    facts = len(world.facts)
    monkeypatch.setattr(Fold, "apply", failing)
    found = scene.watch(QUICK, world)
    assert next(one for one in found.kinds if one.kind == "fact_rejected").same == 1
    assert (found.facts, found.differing) == (facts - bad + 1, 0)


def test_a_log_that_was_cut_is_no_log(scene: Scene) -> None:
    """A topic that ends below what was compared is another one: the candidate begins anew."""
    world = settled()
    scene.append(world)
    scene.watch(PASSIVE, crashed(world, "api"))
    del scene.log.records[FACTS][2:]
    assert scene.watch(PASSIVE).run == 2


def test_two_processes_do_not_write_one_journal(tmp_path: Path) -> None:
    """The second one is told which directory the first one has."""
    with contextlib.closing(Journal.open(tmp_path)), pytest.raises(InputError, match="another logmend shadow"):
        Journal.open(tmp_path)


def test_a_damaged_journal_says_what_to_do(tmp_path: Path) -> None:
    """Whether it is to be written or told of: which file it is, and that another is begun without it; again as well."""
    with contextlib.closing(Journal.open(tmp_path)):
        pass
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    advice = r"shadow\.sqlite: file is not a database; .* move it away: logmend shadow --policy FILE begins a new one"
    for _ in range(2):
        with pytest.raises(InputError, match=advice), explained(tmp_path):
            Journal.open(tmp_path)
        with pytest.raises(InputError, match=advice):
            report(tmp_path)


def test_differences_can_be_queried(scene: Scene) -> None:
    """Any SQLite client reads what the candidate would have decided, with its whole decision as JSON."""
    world = settled(PASSIVE)
    scene.append(world)
    scene.watch(QUICK, crashed(world, "api"))
    with contextlib.closing(sqlite3.connect(shadow_dir(scene.directory) / "shadow.sqlite")) as rows:
        asked = "SELECT kind, json_extract(candidate, '$.command.action') FROM differences WHERE first"
        assert rows.execute(asked).fetchall() == [("withheld", "process.restart")]


def test_nothing_compared_is_no_report(tmp_path: Path) -> None:
    """A report before the first run says how to begin one."""
    with pytest.raises(InputError, match="logmend shadow --policy FILE"):
        report(tmp_path)


def test_a_policy_that_is_applied_meanwhile_is_what_is_compared_with(scene: Scene) -> None:
    """When people apply another policy the log's side follows, and the candidate stays what it is."""
    world = settled()
    scene.append(world)
    crashed(world, "api")
    world.apply("policy", Policy(**{**asdict(PASSIVE), "cooldown_ms": 3_000}))
    found = scene.watch(PASSIVE, crashed(world, "web"))
    assert [one.service for one in found.firsts] == ["api"]
