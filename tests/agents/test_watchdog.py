from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from streams.ports import TopicPartition
from streams.runtime.watchdog import EXIT_STALLED, Judge, Lag, Progress, Stall, Watchdog

FACTS = TopicPartition("facts", 0)


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def watched() -> tuple[Clock, Progress, Judge]:
    """Return a clock and what goes by it."""
    clock = Clock()
    progress = Progress(clock=clock)
    return clock, progress, Judge(progress)


def pass_seconds(clock: Clock, progress: Progress, judge: Judge, seconds: int) -> Stall | None:
    """Let seconds pass in which loop and broker are well, and look after each."""
    for _ in range(seconds):
        clock.now += 1
        progress.beat()
        progress.measured()
        stall = judge.look()
        if stall:
            return stall
    return None


def test_lag_without_progress_is_a_stall_after_a_minute() -> None:
    """It names the partition and how long it has stood."""
    clock, progress, judge = watched()
    progress.lags = {FACTS: Lag(position=5, end=9)}
    assert pass_seconds(clock, progress, judge, 59) is None
    assert pass_seconds(clock, progress, judge, 10) == Stall("facts", 0, 60.0)


def test_a_partition_that_was_quiet_for_hours_does_not_stall_at_its_first_record() -> None:
    """The minute begins when lag is seen."""
    clock, progress, judge = watched()
    progress.lags = {FACTS: Lag(position=5, end=5)}
    assert pass_seconds(clock, progress, judge, 7_200) is None
    progress.lags = {FACTS: Lag(position=5, end=6)}
    assert pass_seconds(clock, progress, judge, 58) is None


def test_slow_progress_is_no_stall() -> None:
    """One record every 50 s moves the position."""
    clock, progress, judge = watched()
    for position in range(20):
        progress.lags = {FACTS: Lag(position=position, end=1_000)}
        assert pass_seconds(clock, progress, judge, 50) is None


def test_a_partition_that_came_back_starts_anew() -> None:
    """What is no longer held is forgotten."""
    clock, progress, judge = watched()
    progress.lags = {FACTS: Lag(position=5, end=9)}
    assert pass_seconds(clock, progress, judge, 50) is None
    progress.lags = {}
    assert pass_seconds(clock, progress, judge, 1) is None
    progress.lags = {FACTS: Lag(position=5, end=9)}
    assert pass_seconds(clock, progress, judge, 50) is None


@pytest.mark.parametrize(
    ("attribute", "name"),
    [("beat_at", "loop"), ("calling_since", "engine"), ("handed_since", "handover"), ("measured_at", "broker")],
)
def test_each_sign_of_life_that_is_missing_for_a_minute_is_a_stall(attribute: str, name: str) -> None:
    """Loop, engine, handover and broker are told apart."""
    clock, progress, judge = watched()
    began = clock.now
    clock.now += 60
    progress.beat()
    progress.measured()
    setattr(progress, attribute, began)
    assert judge.look() == Stall(name, -1, 60.0)


def test_an_engine_that_the_broker_answers_is_alive() -> None:
    """A load of many reads may take longer than a minute."""
    clock, progress, judge = watched()
    progress.calling_since = clock.now
    for _ in range(10):
        assert pass_seconds(clock, progress, judge, 50) is None
        progress.answered()


def test_an_answer_outside_a_call_starts_none() -> None:
    """A late answer must not look like a call that hangs."""
    clock, progress, judge = watched()
    progress.answered()
    assert pass_seconds(clock, progress, judge, 120) is None


async def test_a_loop_that_hangs_is_seen_from_outside() -> None:
    """The thread calls the end while the loop is blocked."""
    ended = threading.Event()
    judge = Judge(Progress(), stall_seconds=0.05)
    dog = Watchdog("test", judge, asyncio.get_running_loop(), end=lambda _loop: ended.set(), look_seconds=0.01)
    dog.start()
    assert ended.wait(10)  # blocks the loop itself
    dog.join(10)


async def test_a_watchdog_that_was_stopped_ends_nothing() -> None:
    """Its thread is gone afterwards."""
    ended = threading.Event()
    judge = Judge(Progress(), stall_seconds=0.5)
    dog = Watchdog("test", judge, asyncio.get_running_loop(), end=lambda _loop: ended.set(), look_seconds=0.01)
    dog.start()
    dog.stop()
    await asyncio.to_thread(dog.join, 10)
    assert not dog.is_alive()
    assert not ended.is_set()


HANGS = """
import asyncio, time
from streams.runtime.watchdog import Judge, Progress, Watchdog

async def waits_for_ever():
    await asyncio.Event().wait()

async def asks():
    await waits_for_ever()

async def main():
    task = asyncio.ensure_future(asks())
    await asyncio.sleep(0)
    Watchdog("test", Judge(Progress(), stall_seconds=0.2), asyncio.get_running_loop(), look_seconds=0.05).start()
    time.sleep(60)

asyncio.run(main())
"""


def test_a_stalled_process_ends_and_shows_its_stacks() -> None:
    """Threads' stacks name the blocking line, tasks' stacks the innermost await."""
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == EXIT_STALLED
    assert "in main" in done.stderr
    assert "waits_for_ever" in done.stderr
