"""The journal: one end per command, whatever happens in between."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streams.core.errors import InputError
from streams.core.events import Command, OutcomeReported
from streams.core.inventory import ServiceSpec
from streams.workers.journal import ENDED, RECEIVED, STARTED, Journal, Position
from tests.workers.kit import HOST, command


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Yield a new journal at the start of the topic."""
    opened = Journal.open(tmp_path / "pool")
    opened.begin(Position(0, -1, 0))
    yield opened
    opened.close()


def asked(seq: int) -> Command:
    """Return the command of a seq."""
    return command(ServiceSpec(name="api", host=HOST), "process.restart", seq=seq, expires_ms=1)


def outcome(seq: int, status: str = "done") -> OutcomeReported:
    """Return an end of the command of a seq."""
    return OutcomeReported(
        command_id=f"1-{seq}-0",
        command_seq=seq,
        host=HOST,
        worker="executor_001",
        status=status,
        ok=True,
        code="x",
        effect="once",
        started_ms=1,
        finished_ms=2,
        skew_ms=0,
    )


def test_a_command_goes_through_its_states_once(journal: Journal) -> None:
    """A command is started once, ended once and told once."""
    journal.receive([(0, asked(0))], 1, 0)
    assert journal.start("1-0-0")
    assert not journal.start("1-0-0")
    assert journal.end(outcome(0))
    assert not journal.end(outcome(0, "refused"))
    assert [one.status for one in journal.unreported()] == ["done"]
    journal.reported(["1-0-0"])
    assert journal.unreported() == []
    assert journal.unfinished() == []
    assert not journal.hand_back("1-0-0")


def test_a_command_that_comes_again_stays_as_it_was(journal: Journal) -> None:
    """Receiving a known command again changes nothing about it."""
    assert len(journal.receive([(0, asked(0))], 1, 0)) == 1
    journal.start("1-0-0")
    assert journal.receive([(1, asked(0))], 2, 0) == []
    assert [(entry.state, entry.tries, entry.offset) for entry in journal.unfinished()] == [(STARTED, 1, 0)]


def test_a_journal_remembers_after_it_was_closed(tmp_path: Path) -> None:
    """Position, states, tries and outcomes are there when the file is opened again."""
    first = Journal.open(tmp_path / "pool")
    first.begin(Position(3, 5, 3))
    first.receive([(3, asked(6)), (4, asked(7)), (5, asked(8))], 6, 8)
    first.start("1-6-0")
    first.start("1-7-0")
    first.end(outcome(7))
    first.close()
    second = Journal.open(tmp_path / "pool")
    assert second.position() == Position(6, 8, 3)
    assert [(e.command, e.state, e.tries) for e in second.unfinished()] == [
        (asked(6), STARTED, 1),
        (asked(8), RECEIVED, 0),
    ]
    assert second.unreported() == [outcome(7)]
    second.close()


def test_one_pool_at_a_time_has_the_journal(journal: Journal, tmp_path: Path) -> None:
    """A second pool on the same data directory is told so in one line."""
    with pytest.raises(InputError, match="another pool"):
        Journal.open(tmp_path / "pool")


def test_old_commands_are_forgotten_when_told(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the commands that are told the newest are kept; one without an end stays however old it is."""
    monkeypatch.setattr("streams.workers.journal.KEPT_MAX", 2)
    journal.receive([(seq, asked(seq)) for seq in range(6)], 6, 5)
    for seq in range(1, 6):
        journal.end(outcome(seq))
    journal.reported([f"1-{seq}-0" for seq in range(1, 6)])
    assert [seq for seq in range(1, 6) if journal.outcome_of(f"1-{seq}-0")] == [4, 5]
    assert [entry.command.seq for entry in journal.unfinished()] == [0]


class JournalStates(RuleBasedStateMachine):
    """Any order of steps and crashes, against a model."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.journal = Journal.open(self.directory)
        self.journal.begin(Position(0, -1, 0))
        self.states: dict[int, str] = {}
        self.ends: dict[int, str] = {}

    @rule()
    def receive(self) -> None:
        """Take a new command in."""
        seq = len(self.states)
        self.journal.receive([(seq, asked(seq))], seq + 1, seq)
        self.states[seq] = RECEIVED

    @rule(seq=st.integers(0, 5))
    def start(self, seq: int) -> None:
        """Start a command, if it may be."""
        started = self.journal.start(f"1-{seq}-0")
        assert started == (self.states.get(seq) == RECEIVED)
        if started:
            self.states[seq] = STARTED

    @rule(seq=st.integers(0, 5))
    def hand_back(self, seq: int) -> None:
        """Put a started command back."""
        if self.journal.hand_back(f"1-{seq}-0"):
            assert self.states[seq] == STARTED
            self.states[seq] = RECEIVED

    @rule(seq=st.integers(0, 5), status=st.sampled_from(["done", "refused", "expired", "in_doubt"]))
    def end(self, seq: int, status: str) -> None:
        """End a command, if it has not ended."""
        if self.journal.end(outcome(seq, status)):
            assert self.states[seq] in {RECEIVED, STARTED}
            self.states[seq] = ENDED
            self.ends[seq] = status

    @rule()
    def crash(self) -> None:
        """Let the process die and the next one open the journal."""
        self.journal.close()
        self.journal = Journal.open(self.directory)

    @invariant()
    def each_command_has_one_state_and_at_most_one_end(self) -> None:
        """Compare with the model; the first end stands."""
        unfinished = {entry.command.seq: entry.state for entry in self.journal.unfinished()}
        assert unfinished == {seq: state for seq, state in self.states.items() if state != ENDED}
        assert {one.command_seq: one.status for one in self.journal.unreported()} == self.ends

    def teardown(self) -> None:
        """Remove the file."""
        self.journal.close()
        shutil.rmtree(self.directory)


TestJournalStates = JournalStates.TestCase
TestJournalStates.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
