"""What an hour of questions may cost."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.advise.budget import HOUR_SECONDS, Budget, OverBudgetError


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file in a directory that isn't there yet."""
    return tmp_path / "advise" / "budget.json"


@pytest.fixture
def clock() -> Clock:
    """Make a clock that stands."""
    return Clock()


def test_so_many_questions_an_hour(path: Path, clock: Clock) -> None:
    """The next one is asked when the first is an hour old."""
    budget = Budget(2, 100, path, clock)
    budget.reserve(0)
    clock.now += 1
    budget.reserve(0)
    with pytest.raises(OverBudgetError, match="2 questions") as caught:
        budget.reserve(0)
    assert caught.value.code == "budget"
    clock.now += HOUR_SECONDS - 1
    budget.reserve(0)


def test_what_a_question_may_cost_is_set_aside(path: Path, clock: Clock) -> None:
    """Three at once that could cost 40 each don't fit into 100; what the first did cost makes room."""
    budget = Budget(10, 100, path, clock)
    first = budget.reserve(40)
    budget.reserve(40)
    with pytest.raises(OverBudgetError, match=r"0\.0001 USD"):
        budget.reserve(40)
    budget.settle(first, 3)
    budget.reserve(40)
    assert (budget.calls, budget.microusd) == (3, 83)


def test_a_purse_without_money_asks_what_is_free(path: Path, clock: Clock) -> None:
    """Zero dollars forbid what costs something, zero calls forbid all."""
    budget = Budget(10, 0, path, clock)
    budget.reserve(0)
    with pytest.raises(OverBudgetError):
        budget.reserve(1)
    with pytest.raises(OverBudgetError):
        Budget(0, 10, path, clock).reserve(0)


def test_a_restart_does_not_fill_the_purse(path: Path, clock: Clock) -> None:
    """What was spent, and what was set aside when the process died, is still spent."""
    budget = Budget(10, 100, path, clock)
    budget.settle(budget.reserve(50), 20)
    budget.reserve(50)
    again = Budget(10, 100, path, clock)
    assert (again.calls, again.microusd) == (2, 70)


def test_a_clock_that_is_set_back_gives_nothing_back(path: Path, clock: Clock) -> None:
    """What was spent half an hour from now still counts; what was spent next year can't have been."""
    budget = Budget(10, 100, path, clock)
    budget.reserve(50)
    clock.now -= HOUR_SECONDS / 2
    assert budget.microusd == 50
    clock.now -= 365 * 86_400
    assert budget.microusd == 0


@pytest.mark.parametrize("content", [b"", b"{}", b"[{}]", b"\xff", b'[{"at_s":"now","microusd":1}]'])
def test_a_damaged_file_is_as_good_as_none(path: Path, clock: Clock, content: bytes) -> None:
    """It is written anew."""
    path.parent.mkdir()
    path.write_bytes(content)
    budget = Budget(10, 100, path, clock)
    budget.reserve(5)
    assert Budget(10, 100, path, clock).microusd == 5


def test_what_cannot_be_written_down_is_not_spent(path: Path, clock: Clock) -> None:
    """A directory that can't be made means no question, and nothing set aside for it."""
    path.parent.write_text("a file where a directory should be")
    budget = Budget(10, 100, path, clock)
    with pytest.raises(OverBudgetError, match="can't be written"):
        budget.reserve(5)
    assert (budget.calls, budget.microusd) == (0, 0)


def test_an_answer_counts_where_its_cost_cannot_be_written(path: Path, clock: Clock) -> None:
    """The file keeps what was set aside, which is more."""
    budget = Budget(10, 100, path, clock)
    spent = budget.reserve(50)
    path.parent.chmod(0o500)
    moved = path.parent.rename(path.parent.with_name("away"))
    path.parent.write_text("in the way")
    budget.settle(spent, 5)
    assert budget.microusd == 5
    moved.chmod(0o700)
    assert Budget(10, 100, moved / path.name, clock).microusd == 50


CALLS_MAX, MONEY_MAX = 8, 1_000


class Spending(RuleBasedStateMachine):
    """Questions that cost at most what was set aside, over hours, with restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = TemporaryDirectory()
        self.path = Path(self.directory.name) / "budget.json"
        self.clock = Clock()
        self.budget = Budget(CALLS_MAX, MONEY_MAX, self.path, self.clock)
        self.open: deque[tuple[object, int, int]] = deque()
        self.costs: list[tuple[float, int]] = []

    def teardown(self) -> None:
        """Remove the file."""
        self.directory.cleanup()

    @rule(most=st.integers(0, 600), share=st.floats(0, 1))
    def a_question_is_asked(self, most: int, share: float) -> None:
        try:
            spent = self.budget.reserve(most)
        except OverBudgetError:
            return
        cost = int(most * share)
        self.costs.append((self.clock.now, cost))
        self.open.append((spent, cost, len(self.costs)))

    @precondition(lambda self: self.open)
    @rule()
    def one_is_answered(self) -> None:
        spent, cost, _ = self.open.popleft()
        self.budget.settle(spent, cost)  # type: ignore[arg-type]  # it is what reserve gave

    @rule(seconds=st.floats(0, 5_000))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def it_starts_again(self) -> None:
        self.open.clear()
        self.budget = Budget(CALLS_MAX, MONEY_MAX, self.path, self.clock)

    @invariant()
    def no_hour_costs_too_much(self) -> None:
        """Of any hour that begins with a question: its calls and its money are within the limits."""
        for begin, _ in self.costs:
            hour = [cost for at, cost in self.costs if begin <= at < begin + HOUR_SECONDS]
            assert len(hour) <= CALLS_MAX
            assert sum(hour) <= MONEY_MAX


TestSpending = Spending.TestCase
