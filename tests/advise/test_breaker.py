"""When a provider is left alone, and when it is tried again."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.advise.breaker import FAILURES_MAX, OPEN_SECONDS, OPEN_SECONDS_MAX, Breaker, BreakerOpenError


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Make a clock that stands."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """Make a breaker that is closed."""
    return Breaker(clock)


def _fail(breaker: Breaker, times: int = FAILURES_MAX) -> None:
    for _ in range(times):
        breaker.admit()
        breaker.failed()


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    """One fewer doesn't."""
    _fail(breaker, FAILURES_MAX - 1)
    assert not breaker.is_open
    _fail(breaker, 1)
    with pytest.raises(BreakerOpenError) as caught:
        breaker.admit()
    assert caught.value.code == "breaker_open"


def test_an_answer_between_failures_counts(breaker: Breaker) -> None:
    """Failures with an answer between them are not in a row."""
    _fail(breaker, FAILURES_MAX - 1)
    breaker.admit()
    breaker.answered()
    _fail(breaker, FAILURES_MAX - 1)
    assert not breaker.is_open


def test_one_question_tries_it_after_its_time(breaker: Breaker, clock: Clock) -> None:
    """Only one, and its answer lets in all."""
    _fail(breaker)
    clock.now += OPEN_SECONDS
    breaker.admit()
    assert breaker.is_open
    breaker.answered()
    breaker.admit()
    breaker.admit()


def test_each_failed_trial_doubles_the_time(breaker: Breaker, clock: Clock) -> None:
    """30 s, 60 s, 120 s, up to ten minutes."""
    _fail(breaker)
    wait = OPEN_SECONDS
    for _ in range(8):
        clock.now += wait - 0.001
        assert breaker.is_open
        clock.now += 0.001
        _fail(breaker, 1)
        wait = min(2 * wait, OPEN_SECONDS_MAX)
    assert wait == OPEN_SECONDS_MAX


def test_a_trial_that_says_nothing_is_followed_by_another(breaker: Breaker, clock: Clock) -> None:
    """A question that is given up half way doesn't leave it half open for ever."""
    _fail(breaker)
    clock.now += OPEN_SECONDS
    breaker.admit()
    breaker.let_go()
    breaker.admit()


def test_it_is_left_alone_as_long_as_the_provider_wants(breaker: Breaker, clock: Clock) -> None:
    """But for no more than ten minutes, and never for less than before."""
    seen = []
    breaker.leave_alone(45.0)
    breaker.leave_alone(5.0)
    for seconds in (44.9, 0.1):
        clock.now += seconds
        seen.append(breaker.is_open)
    breaker.leave_alone(1e9)
    clock.now += OPEN_SECONDS_MAX
    assert [*seen, breaker.is_open] == [True, False, False]


class Asking(RuleBasedStateMachine):
    """Questions that are let in, answered, failed and given up in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(self.clock)
        self.asked = 0

    @rule()
    def a_question_comes(self) -> None:
        closed = not self.breaker.is_open
        try:
            self.breaker.admit()
        except BreakerOpenError:
            assert not closed
        else:
            assert closed
            self.asked += 1

    @precondition(lambda self: self.asked)
    @rule(end=st.sampled_from(["answered", "failed", "let_go"]))
    def one_ends(self, end: str) -> None:
        self.asked -= 1
        getattr(self.breaker, end)()

    @precondition(lambda self: self.asked)
    @rule(seconds=st.floats(0, 10_000))
    def one_is_asked_to_wait(self, seconds: float) -> None:
        self.asked -= 1
        self.breaker.leave_alone(seconds)

    @rule(seconds=st.floats(0, 700))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def it_opens_again(self) -> None:
        """Once nobody is being asked, ten minutes are enough."""
        if not self.asked:
            now = self.clock.now
            self.clock.now += OPEN_SECONDS_MAX
            assert not self.breaker.is_open
            self.clock.now = now


TestAsking = Asking.TestCase
