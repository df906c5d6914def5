"""Spares: they become specialists, are replaced when the host has time, and nobody keeps or misses them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from types import SimpleNamespace

import psutil
import pytest

from streams.workers import spares
from streams.workers.roles import SPARE
from streams.workers.spares import RESTART_PAUSE_MAX_SECONDS, SPARES, Spares
from tests.workers.fleet import Fleet
from tests.workers.kit import PATIENCE_SECONDS, process_spec, until
from tests.workers.plans import Plans

REST_SECONDS = 2.0
TURNS = 30


@pytest.fixture
def plans(fleet: Fleet) -> Plans:
    """Return what a plan does on a host whose spares all wait."""
    plans = Plans(fleet, process_spec(fleet.root))
    fleet.view.write(plans.spec)
    fleet.manage("--spares")
    until(fleet.heartbeats)
    until(lambda: len(plans.processes(SPARE)) == SPARES, "all spares")
    return plans


def test_a_spare_becomes_a_specialist(plans: Plans, fleet: Fleet) -> None:
    """Who is called is one of those that waited, in a session and a group of its own, and does what its row says."""
    waited = plans.processes(SPARE)
    assert fleet.outcome(plans.call()).code == "running"
    (process,) = plans.processes()
    assert process in waited
    assert os.getsid(process.pid) == os.getpgid(process.pid) == process.pid
    looked = fleet.outcome(plans.look("process"))
    assert (looked.ok, looked.code) == (True, "looked")
    assert fleet.outcome(plans.look("certificate")).code == "wrong_topic"
    until(lambda: len(plans.processes(SPARE)) == SPARES, "another in its place")


def test_more_may_be_called_than_wait(plans: Plans, fleet: Fleet) -> None:
    """Of more specialists than there are spares each runs, in a process of its own."""
    asked = [plans.call(specialist=f"database-optimizer-{number:03d}") for number in range(1, SPARES + 3)]
    assert {fleet.outcome(one).code for one in asked} == {"running"}
    assert len({one.pid for one in plans.processes()}) == len(asked)


def test_a_dead_spare_is_replaced(plans: Plans) -> None:
    """When one that waits is killed another comes."""
    killed = plans.processes(SPARE)[0]
    killed.kill()
    until(lambda: killed not in (left := plans.processes(SPARE)) and len(left) == SPARES, "another in its place")


def test_a_stopped_spare_is_given_to_nobody(plans: Plans, fleet: Fleet) -> None:
    """Who is called when all that wait are stopped gets a process that works, and the stopped ones end."""
    stopped = plans.processes(SPARE)
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    until(lambda: {one.status() for one in stopped} == {psutil.STATUS_STOPPED})
    assert fleet.outcome(plans.call()).code == "running"
    assert plans.processes()[0] not in stopped
    until(lambda: not any(one.is_running() for one in stopped), "their end")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_spares_end_with_the_manager(plans: Plans, fleet: Fleet, number: signal.Signals) -> None:
    """However the manager ends none is left, even if it is stopped."""
    waited = plans.processes(SPARE)
    waited[0].send_signal(signal.SIGSTOP)
    fleet.managers[-1].send_signal(number)
    assert fleet.managers[-1].wait(PATIENCE_SECONDS) == (0 if number == signal.SIGTERM else -number)
    until(lambda: not any(one.is_running() for one in waited), "their end")


def test_spares_have_no_heartbeats(plans: Plans, fleet: Fleet) -> None:
    """The workers that are told of are those with a name."""
    fleet.outcome(plans.call())
    assert not {one.pid for one in fleet.heartbeats()} & {one.pid for one in plans.processes(SPARE)}


class Bench:
    """Spares that are idle Python processes, and a clock that stands still until it is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[Process] = []
        self.tries = self.refusals = 0
        self.now = 0.0
        self.spares = Spares(self._begin, REST_SECONDS)
        turn = {**vars(asyncio), "sleep": lambda _: asyncio.sleep(0)}
        monkeypatch.setattr(spares, "asyncio", SimpleNamespace(**turn))
        monkeypatch.setattr(spares, "time", SimpleNamespace(monotonic=lambda: self.now))

    async def _begin(self) -> Process:
        self.tries += 1
        if self.tries <= self.refusals:
            raise BlockingIOError(11, "no more processes")
        words = ("-I", "-S", "-c", "import time; time.sleep(60)")
        self.begun.append(await asyncio.create_subprocess_exec(sys.executable, *words))
        return self.begun[-1]

    async def begun_after(self, seconds: float) -> int:
        """Let so much time pass, and return how many processes have begun by then."""
        self.now += seconds
        for _ in range(TURNS):
            await asyncio.sleep(0.001)
        return len(self.begun)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """Yield spares that are kept."""
    made = Bench(monkeypatch)
    keeping = asyncio.create_task(made.spares.keep())
    yield made
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_spares_begin_one_by_one(bench: Bench) -> None:
    """One begins a rest after another, until there are enough."""
    found = [await bench.begun_after(seconds) for seconds in (0.0, *[REST_SECONDS] * (SPARES + 2))]
    assert found == [*range(SPARES + 1), SPARES, SPARES]


async def test_none_begins_in_the_moment_of_a_call(bench: Bench) -> None:
    """After a call none begins for a rest, whether there was one to give or not."""
    assert bench.spares.take() is None
    assert await bench.begun_after(REST_SECONDS) == 1
    await bench.begun_after(REST_SECONDS - 0.5)
    given = bench.spares.take()
    assert given is bench.begun[0]
    assert await bench.begun_after(REST_SECONDS - 0.5) == 1
    assert await bench.begun_after(0.5) == 2
    given.kill()
    await given.wait()


async def test_who_keeps_dying_is_waited_for_longer_each_time(bench: Bench) -> None:
    """One that dies at once is not replaced before its pause is over, and the pause grows as that of workers does."""
    rests = []
    for count in range(1, 9):
        began = bench.now
        while await bench.begun_after(0.25) < count:
            pass
        rests.append(bench.now - began)
        bench.begun[-1].kill()
        await bench.begun[-1].wait()
    assert rests == [REST_SECONDS] * 6 + [3.25, RESTART_PAUSE_MAX_SECONDS]


async def test_a_host_that_can_begin_none_tries_again(bench: Bench) -> None:
    """When no process can begin, the next try comes after a pause."""
    bench.refusals = 1
    assert await bench.begun_after(REST_SECONDS) == 0
    assert await bench.begun_after(RESTART_PAUSE_MAX_SECONDS) == 1


async def test_no_process_is_left_when_they_are_kept_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops keeping them has ended them."""
    bench = Bench(monkeypatch)
    keeping = asyncio.create_task(bench.spares.keep())
    while await bench.begun_after(REST_SECONDS) < SPARES:
        pass
    keeping.cancel()
    await asyncio.wait([keeping])
    assert {one.returncode for one in bench.begun} == {-signal.SIGKILL}
    assert bench.spares.take() is None
