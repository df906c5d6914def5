from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab import run
from lab.run import run_faults, tracks
from lab.site import Site
from lab.timeline import Story
from lab.watch import Watch
from streams.ports import Outgoing, Record, TopicPartition


class Nobody:
    """A log in which nobody decides anything."""

    async def append(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Fail: a watch does not write."""
        raise AssertionError("a watch does not write")

    async def read(self, where: TopicPartition, start: int, end: int) -> Sequence[Record]:
        """Return nothing."""
        return ()

    async def bounds(self, where: TopicPartition) -> tuple[int, int]:
        """Return an empty range."""
        return (0, 0)


def story(name: str, service: str) -> dict[str, Story]:
    """Return one story to be filled in."""
    return {name: Story(fault=name, service=service)}


async def test_without_logmend_a_fault_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab itself heals nothing: what nobody acts on stays broken until it is undone, on record."""
    monkeypatch.setattr(run, "HALTED_S", 2.0)
    stories = story("database_lock", "shop-worker")
    await run_faults(site, Watch(Nobody(), "decisions"), stories, halted=True)
    assert stories["database_lock"].stayed_broken
    assert [json.loads(line)["what"] for line in site.journal.read_text().splitlines()] == ["inject", "undo"]


async def test_a_fault_that_nobody_heals_is_told_as_such(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a detection the story ends as not healed, with what was missing first."""
    monkeypatch.setattr(run, "HEAL_S", 1.0)
    stories = story("crash", "shop-worker")
    await run_faults(site, Watch(Nobody(), "decisions"), stories)
    assert (stories["crash"].healed, stories["crash"].note) == (False, "not detected")


def test_faults_of_dependent_services_follow_one_another(tmp_path: Path) -> None:
    """The worker's faults may run beside those of API and proxy, which follow one another."""
    names = ("crash", "hang", "port_taken", "database_lock", "leak", "configuration")
    grouped = [[fault.name for fault in track] for track in tracks(names, Site.create(tmp_path, "testhost"))]
    assert grouped == [["crash", "database_lock"], ["hang", "port_taken", "leak", "configuration"]]
