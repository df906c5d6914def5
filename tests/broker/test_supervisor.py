"""The supervisor starts everything, keeps it alive, and leaves nothing behind, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from streams.core.errors import InputError
from streams.runtime import children, tether
from streams.runtime.address import read_address
from streams.runtime.admin import Admin
from streams.runtime.children import LOG_BYTES_MAX, YIELDING, Child, ChildState
from streams.runtime.supervisor import ROLES, Supervisor
from streams.settings import Settings

pytestmark = pytest.mark.broker

UP = """
    import asyncio, sys
    from streams.runtime.supervisor import run
    from streams.settings import Settings

    asyncio.run(run(Settings(data_dir=sys.argv[1]), lambda line: print(line, flush=True)))
"""
SAYS_PRIORITY = """
import os
from streams.runtime.tether import AUTOGROUP

print(os.getpriority(os.PRIO_PROCESS, 0), AUTOGROUP.read_text() if AUTOGROUP.exists() else "")
"""


async def _until(condition: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


@pytest.fixture
def up(formatted: Path) -> Iterator[subprocess.Popen[str]]:
    """Run everything in a process of its own, as ``logmend up`` does."""
    command = [sys.executable, "-c", textwrap.dedent(UP), str(formatted)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    yield process
    process.kill()
    process.communicate()


def _wait_for(process: subprocess.Popen[str], beginning: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(beginning):
            return
    pytest.fail(f"it ended before it said {beginning!r}")


def _family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


async def test_everything_starts_stays_and_stops(tmp_path: Path) -> None:
    """All roles become ready; one that is killed is started again, and so is the broker; a stop leaves no process."""
    said: list[str] = []
    async with Supervisor(Settings(data_dir=tmp_path), said.append) as supervisor:
        first = {state.name: state.pid for state in supervisor.states}
        assert list(first) == list(ROLES)
        assert all(state.ready for state in supervisor.states)
        async with Admin(supervisor.settings) as admin:
            assert await admin.problems() == []

        os.kill(first["decide"], signal.SIGKILL)
        await _until(lambda: _state(supervisor, "decide").restarts == 1 and _state(supervisor, "decide").ready)
        assert _state(supervisor, "detect").pid == first["detect"]

        broker = read_address(tmp_path)
        assert broker is not None
        os.kill(broker.pid, signal.SIGKILL)
        await _until(lambda: (now := read_address(tmp_path)) is not None and now.running and now.pid != broker.pid)
        async with Admin(supervisor.settings) as admin:
            assert await admin.problems() == []
        pids = [state.pid for state in supervisor.states]
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    assert read_address(tmp_path) is None
    assert any(line.startswith("the broker ended: it was killed") for line in said)


def _state(supervisor: Supervisor, name: str) -> ChildState:
    return next(state for state in supervisor.states if state.name == name)


async def test_a_killed_supervisor_leaves_no_orphans(up: subprocess.Popen[str]) -> None:
    """A kill -9 of the supervisor ends every process it started."""
    _wait_for(up, "ready in ")
    family = _family(up)
    assert len(family) > len(ROLES)
    up.kill()
    await _until(lambda: not any(process.is_running() for process in family))


async def test_a_signal_during_the_start_ends_all_of_it(up: subprocess.Popen[str]) -> None:
    """SIGTERM while the children start is heeded, with exit status 0 and nothing left."""
    _wait_for(up, "starting detect")
    family = _family(up)
    up.send_signal(signal.SIGTERM)
    await _until(lambda: up.poll() is not None)
    assert up.returncode == 0
    assert not any(process.is_running() for process in family)


async def test_a_role_that_does_not_start_is_named(tmp_path: Path, broker: Settings) -> None:
    """A child that keeps dying ends the start with its last words, and nothing is left running."""
    supervisor = Supervisor(broker, roles=("nonsense",))
    with pytest.raises(InputError, match=r"nonsense does not start: .*No such command"):
        await supervisor.start()
    assert supervisor.states[0].pid == 0


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", ""),
        ("error: no such file\n", "error: no such file"),
        ('one\n{"event": "process_failed", "error": "move it away"}\n', "move it away"),
        ('{"event": "process_started"}', '{"event": "process_started"}'),
    ],
)
def test_a_childs_last_words_are_its_error(tmp_path: Path, written: str, told: str) -> None:
    """Of a log event with an error a person is told the error, of any other line the line."""
    (tmp_path / "run").mkdir()
    child = Child(Settings(data_dir=tmp_path), "decide", 1, 0)
    child.log.write_text(written)
    assert child.last_words() == told


def test_a_childs_log_stays_small(tmp_path: Path) -> None:
    """A log beyond its limit is put aside, and one older one is kept."""
    (tmp_path / "run").mkdir()
    child = Child(Settings(data_dir=tmp_path), "detect", 1, 0)
    for _ in range(2):
        child.log.write_bytes(b"x" * (LOG_BYTES_MAX + 1))
        child.look_after()
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["detect.log", "detect.log.1"]
    assert child.log.stat().st_size == 0


def _died_and_restarted(child: Child, clock: list[float], lived_s: float) -> float:
    """Let a started child die at the age of ``lived_s``; return after how long it is started again."""
    restarts = child.restarts
    assert child._process is not None
    child.look_after()
    child._process.kill()
    child._process.wait()
    clock[0] += lived_s
    child.look_after()
    died = clock[0]
    while child.restarts == restarts:
        clock[0] += 0.05
        child.look_after()
    return clock[0] - died


@pytest.mark.parametrize(("ready", "grows"), [(True, False), (False, True)])
def test_only_what_never_worked_is_kept_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ready: bool, grows: bool
) -> None:
    """A stage that was ready and is killed again and again comes back at once; one that fails waits longer."""
    (tmp_path / "run").mkdir()
    clock = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(children, "_command", lambda _role: [sys.executable, "-c", "input()"])
    monkeypatch.setattr(Child, "ready", property(lambda self: ready and self.running))
    child = Child(Settings(data_dir=tmp_path), "detect", 1, 0)
    child.start()
    delays = [_died_and_restarted(child, clock, 5.0) for _ in range(4)]
    child.end()
    assert (delays[-1] > 2 * delays[0]) is grows


def test_one_process_of_a_role_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start waits for one process of each role, whichever of them gets the work."""
    settings = Settings(data_dir=tmp_path)
    supervisor = Supervisor(settings, roles=("decide", "decide"))
    supervisor._children = [Child(settings, "decide", number, 0) for number in (1, 2)]
    monkeypatch.setattr(Child, "ready", property(lambda self: False))
    assert [child.name for child in supervisor._waiting()] == ["decide", "decide-2"]
    monkeypatch.setattr(Child, "ready", property(lambda self: self.name == "decide-2"))
    assert supervisor._waiting() == []


@pytest.mark.parametrize(("role", "yields"), [("detect", False), ("decide", False), ("eventlog", True), ("web", True)])
def test_what_nobody_waits_for_yields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str, *, yields: bool
) -> None:
    """What archives and shows gives way to what detects and decides, where Linux looks: at processes or at sessions."""
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(children, "_command", lambda _role: [sys.executable, "-c", SAYS_PRIORITY])
    child = Child(Settings(data_dir=tmp_path), role, 1, 0)
    child.start()
    assert child._process is not None
    child._process.wait()
    nice, _, session = child.log.read_text().partition(" ")
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert int(nice) == (min(own + YIELDING[role], 19) if yields else own)
    assert not session or session.split()[-1] == (str(YIELDING[role]) if yields else "0")


def test_a_session_that_is_refused_yields_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux takes one niceness of a session in each tenth of a second from those who are not root."""
    refusals, written = iter([BlockingIOError, BlockingIOError]), list[str]()

    class Busy:
        def write_text(self, text: str) -> None:
            for refusal in refusals:
                raise refusal
            written.append(text)

    monkeypatch.setattr(tether, "AUTOGROUP", Busy())
    monkeypatch.setattr(tether, "ATTEMPT_SECONDS", 0.0)
    tether._yield_as_session(5)
    assert written == ["5"]
