"""Every action of the catalogue where it can't be done: a program that is absent, and an action that does not end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.catalogue.actions import actions
from streams.core.events import Command
from streams.core.inventory import ServiceSpec
from streams.workers import sandbox, tools
from streams.workers.files import locked
from streams.workers.frames import Answer, Ended, Frames, Run, pack
from streams.workers.orders import order_of
from streams.workers.results import Surroundings
from streams.workers.roles import ROLES
from tests.contract.actions_cases import ACTIONS, case_of, spec_of
from tests.contract.actions_real import Blocker, Real
from tests.workers.kit import Executor, command, now_ms, process_spec

CLOSED = 1
"""A port where nobody listens."""
TIMEOUT_MS = 600
HANGING = """
import sys, time
from streams.workers import sandbox, worker
sandbox.handler = lambda action: lambda order, around: time.sleep(60)
worker.main(sys.argv[1])
"""
"""A real worker, whose sandbox is real too; but whatever it is given to do never ends."""
MANAGED = frozenset({"start", "stop", "restart", "reload", "kill_blocker", "rollback_config", "rollback_version"})
"""Verbs that a manager of the host is asked for, on any type of service that has one."""

IN_PROCESS = tuple(action for action in ACTIONS if actions()[action].in_process)
IN_SANDBOX = tuple(action for action in ACTIONS if not actions()[action].in_process)
each_in_process = pytest.mark.parametrize("action", IN_PROCESS)
each_in_sandbox = pytest.mark.parametrize("action", IN_SANDBOX)


def by_program(action: str) -> bool:
    """Say whether an action runs a program of the host or a declared one."""
    row = actions()[action]
    if case_of(action).tool:
        return True
    asked = row.verb in MANAGED or (row.service_type == "kubernetes" and row.verb.startswith("scale_"))
    return asked and row.service_type not in {"process", "http"}


BY_PROGRAM = tuple(action for action in IN_SANDBOX if by_program(action))


def lamed(spec: ServiceSpec) -> ServiceSpec:
    """Return a service whose own programs are absent, and whose server is down."""
    absent = ("/nonexistent/program",)
    return msgspec.structs.replace(
        spec,
        argv=absent if spec.argv else (),
        tools=dict.fromkeys(spec.tools, absent),
        port=0,
        lock_files=("/nonexistent",),
    )


def given(spec: ServiceSpec, action: str, seq: int = 0, **fields: Any) -> Command:
    """Return the command for an action with its case's arguments."""
    return command(spec, action, seq, **{"arguments": dict(case_of(action).arguments), **fields})


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a host without any programs of its own, whatever this machine has."""
    monkeypatch.setattr(tools, "SYSTEM_PATH", "/nonexistent")


# ------------------------------------------------------------------------------------------------ what is not there


LACKING: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("process.start", "process.restart", "process.kill_blocker"), ("not_startable", "none")),
    "process.rollback_config": ("not_startable", "once"),
    "process.stop": ("not_running", "none"),
    "process.reload": ("down", "none"),
    **dict.fromkeys(("http.call", "http.probe"), ("refused", "none")),
}
"""What is said by those that need something else than a program: code and effect."""


def expected(action: str) -> tuple[str, str]:
    """Return code and effect of an action on a host without programs, for a service without its own."""
    case, row = case_of(action), actions()[action]
    if row.verb == "verify":
        return "refused", "none"
    if action in BY_PROGRAM:
        return "no_tool", "once" if row.verb == "rollback_config" else "none"
    return LACKING.get(action, (case.code, case.effect))


@each_in_sandbox
def test_what_is_absent_is_said(tmp_path: Path, bare: None, action: str) -> None:
    """Without the program, the process or the server that it needs an action says so by its code; others need none."""
    before = case_of(action).before
    edge = Real(tmp_path, None, [])
    spec = lamed(spec_of(action, tmp_path, before, web=CLOSED))
    edge.arrange(spec, replace(before, running=False))
    ended = sandbox.perform(order_of(given(spec, action)), Surroundings(checkpoints=str(tmp_path)))
    assert (ended.code, ended.effect) == expected(action)


@pytest.mark.parametrize("action", ["process.kill_blocker", "systemd.kill_blocker"])
def test_a_blocker_that_was_killed_in_vain_is_an_effect(tmp_path: Path, bare: None, action: str) -> None:
    """Who killed a blocker and then could not start the service does not say that nothing was touched."""
    edge = Real(tmp_path, None, [])
    edge.blocker = Blocker()
    try:
        spec = spec_of(action, tmp_path, case_of(action).before, web=CLOSED, port=edge.blocker.port)
        spec = msgspec.structs.replace(lamed(spec), port=edge.blocker.port)
        edge.arrange(spec, case_of(action).before)
        ended = sandbox.perform(order_of(given(spec, action)), Surroundings(checkpoints=str(tmp_path)))
        assert (ended.ok, ended.effect, edge.blocker.lives()) == (False, "once", False)
    finally:
        edge.end()


def test_a_service_that_was_stopped_in_vain_is_an_effect(root: Path, executor: Executor) -> None:
    """Who stopped a service and then could not start it does not say that nothing was touched."""
    spec = process_spec(root)
    executor.run(command(spec, "process.start"))
    absent = msgspec.structs.replace(spec, argv=("/nonexistent/program",))
    ended = executor.run(command(absent, "process.restart", 1))
    assert (ended.result.code, ended.result.effect) == ("not_startable", "once")


def test_a_rollback_to_a_link_touches_no_other_file(root: Path, executor: Executor) -> None:
    """When one of the files may not be put back, none is: the refusal says that nothing was touched."""
    paths = [root / "a.toml", root / "b.toml"]
    spec = process_spec(root, config_files=tuple(str(path) for path in paths))
    for path in paths:
        path.write_text("good")
    executor.run(command(spec, "process.checkpoint"))
    paths[0].write_text("bad")
    paths[1].unlink()
    paths[1].symlink_to(root / "elsewhere")
    ended = executor.run(command(spec, "process.rollback_config", 1))
    assert (ended.result.code, ended.result.effect) == ("no_checkpoint", "none")
    assert paths[0].read_text() == "bad"


# ------------------------------------------------------------------------------------------------ what does not end


def ends_of(role: str, words: Sequence[str], runs: Sequence[Run]) -> Iterator[Ended]:
    """Yield how commands end that a worker of a role, begun with these words, is given all at once."""
    with subprocess.Popen(
        [sys.executable, *words, role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"".join(map(pack, runs)))
        process.stdin.flush()
        frames, left = Frames(Answer), len(runs)
        while left:
            data = os.read(process.stdout.fileno(), 65_536)
            assert data, "the worker is gone"
            for answer in frames.feed(data):
                assert isinstance(answer, Ended)
                left -= 1
                yield answer


def all_ends(words: Sequence[str], runs: Mapping[str, Run]) -> dict[str, Ended]:
    """Return how actions end, by action; each role's are given to a worker of it."""
    ends: dict[str, Ended] = {}
    for role, mine in ROLES.items():
        chosen = [run for action, run in runs.items() if action in mine]
        ends |= {ended.command_id: ended for ended in ends_of(role, words, chosen)}
    return {action: ends[run.command.id] for action, run in runs.items()}


def hasty(root: Path, action: str, seq: int) -> Run:
    """Return an action with a short time-out on a service in the world before it, below a directory of its own.

    Programs of the host hang, and so does the service's own.
    """
    home = root / action
    home.mkdir()
    edge, before = Real(home, None, []), replace(case_of(action).before, running=False)
    spec = spec_of(action, home, before, web=CLOSED)
    endless = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)")
    spec = msgspec.structs.replace(spec, tools=dict.fromkeys(spec.tools, endless))
    edge.arrange(spec, before)
    (edge.tools / "hangs").touch()
    return Run(
        given(spec, action, seq, timeout_ms=TIMEOUT_MS), now_ms() + 60_000, dry_run=False, surroundings=edge.around
    )


@pytest.fixture(scope="module")
def hung(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Return how each action ends whose own code hangs."""
    root = tmp_path_factory.mktemp("hung")
    return all_ends(("-c", HANGING), {action: hasty(root, action, seq) for seq, action in enumerate(IN_SANDBOX)})


@pytest.fixture(scope="module")
def stuck(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Return how each action ends whose program hangs."""
    root = tmp_path_factory.mktemp("stuck")
    runs = {action: hasty(root, action, seq) for seq, action in enumerate(BY_PROGRAM)}
    return all_ends(("-m", "streams.workers.worker"), runs)


@each_in_sandbox
def test_what_does_not_end_is_killed(hung: Mapping[str, Ended], action: str) -> None:
    """An action that is not over in its time is killed: timed_out, effect unknown, in doubt if not repeatable."""
    ended = hung[action]
    assert (ended.result.ok, ended.result.code, ended.result.effect) == (False, "timed_out", "unknown")
    assert ended.status == ("done" if actions()[action].repeatable else "in_doubt")


@pytest.mark.parametrize("action", BY_PROGRAM)
def test_a_program_that_does_not_end_is_killed(stuck: Mapping[str, Ended], action: str) -> None:
    """A program that is not over in its time is killed; if it was only asked something, nothing was touched."""
    ended, row = stuck[action], actions()[action]
    only_asked = row.service_type == "kubernetes" and row.verb not in {"restart", "rollback_version"}
    assert (ended.result.ok, ended.result.code) == (False, "timed_out")
    assert ended.result.effect == ("none" if only_asked else "unknown")
    assert ended.status == ("done" if row.repeatable or only_asked else "in_doubt")


@each_in_process
def test_a_switch_that_is_held_is_not_waited_for(tmp_path: Path, action: str) -> None:
    """A switch is moved in the worker itself, which gives up while another holds its lock, and has touched nothing."""
    before = case_of(action).before
    edge = Real(tmp_path, None, [])
    edge.arrange(spec_of(action, tmp_path, before, web=CLOSED), before)
    order = order_of(given(edge.spec, action, timeout_ms=40))
    with locked(tmp_path / "switch.lock", 0.0):
        ended = sandbox.perform(order, edge.around)
    assert (ended.ok, ended.code, ended.effect) == (False, "busy", "none")
    assert edge.world() == before
