from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab import furnish, run
from lab.faults import FAULTS
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
    monkeypatch.setattr(run, "LEFT_ALONE_S", 2.0)
    stories = story("database_lock", "shop-worker")
    await run_faults(site, Watch(Nobody(), "decisions"), stories, alone=True)
    assert stories["database_lock"].stayed_broken
    assert [json.loads(line)["what"] for line in site.journal.read_text().splitlines()] == ["inject", "undo"]


async def test_a_fault_that_nobody_heals_is_told_as_such(site: Site) -> None:
    """Without a detection the story ends as not healed, with what was missing first."""
    stories = story("crash", "shop-worker")
    await run_faults(site, Watch(Nobody(), "decisions"), stories, heal_s=1.0)
    assert (stories["crash"].healed, stories["crash"].note) == (False, "not detected")


def test_faults_of_dependent_services_follow_one_another(tmp_path: Path) -> None:
    """Faults of one service follow one another, as do those of API and proxy; all others may run side by side."""
    grouped = [[fault.name for fault in track] for track in tracks(tuple(FAULTS), furnish.create(tmp_path, "h", ()))]
    assert grouped == [
        ["hang", "port_taken", "leak", "configuration", "refused"],
        ["slow", "descriptors", "corruption", "missing_module"],
        ["no_answer", "no_route", "no_name"],
        ["permission", "credential", "expired"],
        ["crash", "database_lock"],
        ["dependency", "container"],
        ["places", "intruder"],
        ["disk_full", "disk_failure"],
        ["sessions"],
    ]
