"""What people are told about what they put in force; no broker runs, what is in force is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli import main, steering
from streams.core.config import Inventory
from streams.core.directory import Directory
from streams.core.events import InboxEvent
from streams.core.inventory import ServiceSpec

SERVICES = """
[[services]]
name = "api"
host = "b"

[[services]]
name = "new"
host = "a"
"""


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[InboxEvent]:
    """Give a fleet with two services, halted by ada; return what is sent to it."""
    services = (ServiceSpec(name="api", host="a"), ServiceSpec(name="old", host="a"))
    directory = Directory(inventory=Inventory(services=services), halted_by="ada")
    sent: list[InboxEvent] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(steering, "directory_now", lambda _settings: directory)
    monkeypatch.setattr(steering, "say", lambda _settings, event, _heard: sent.append(event))
    Path("services.toml").write_text(SERVICES)
    return sent


def run(*arguments: str) -> str:
    """Run the command and return what it prints."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_apply_says_what_it_added_changed_and_removed(said: list[InboxEvent]) -> None:
    """A service that falls out of a file is not called changed."""
    assert run("apply", "services.toml").endswith("is in force; added: new; changed: api.host; removed: old\n")
    figures = json.loads(run("apply", "services.toml", "--json"))
    assert (figures["added"], figures["changed"], figures["removed"]) == (["new"], ["api.host"], ["old"])
    assert len(said) == 2


def test_diff_says_what_would_be_added_changed_and_removed(said: list[InboxEvent]) -> None:
    """Each line begins with what would happen to the name in it, and nothing is sent."""
    changed, added, removed = run("diff", "services.toml").splitlines()
    assert changed == 'changed api.host: "a" -> "b"'
    assert added.startswith('added new: {"name": "new"')
    assert removed.startswith('removed old: {"name": "old"')
    assert [row["change"] for row in json.loads(run("diff", "services.toml", "--json"))] == [
        "changed",
        "added",
        "removed",
    ]
    assert said == []


def test_halt_records_nothing_when_the_switch_is_on(said: list[InboxEvent]) -> None:
    """Who halted first stays on record, and is named."""
    assert "was on already, by ada" in run("halt", "--author", "bob")
    assert said == []


def test_resume_claims_no_more_than_the_switch(said: list[InboxEvent]) -> None:
    """Commands may still not be carried out, for the policy's or the settings' sake."""
    assert run("resume") == "resumed: the kill switch is off\n"
    assert len(said) == 1


def test_a_reason_that_detect_would_reject_is_refused(said: list[InboxEvent]) -> None:
    """A kill switch with a reason that is too long fails at once, instead of being dead-lettered."""
    result = CliRunner().invoke(main, ["halt", "--reason", "x" * 501])
    assert result.exit_code == 2
    assert "at most 500" in result.output
    assert said == []
