"""The process that an action runs in. Each test forks from a fresh interpreter, as a worker does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from streams.catalogue import strategies
from streams.catalogue.actions import actions
from streams.workers.roles import HANDLERS, ROLES, handler, role_of

PROGRAM = """
import json, os, sys, time
from streams.core.inventory import ServiceSpec
from streams.catalogue.actions import actions
from streams.workers import sandbox
from streams.workers.orders import Order
from streams.workers.results import Result, Surroundings

def act(order, around):
{body}

sandbox.handler = lambda action: act
isolate = sandbox._isolate
def slow_start(*given):
    isolate(*given)
    time.sleep({start_s})
sandbox._isolate = slow_start
kept = os.open("/dev/null", os.O_RDONLY)
os.set_inheritable(kept, True)
order = Order("1-0-0", ServiceSpec(name="x", host="h"), actions()["process.stop"], {{}}, {timeout_ms}, True)
child = sandbox.launch(order, Surroundings(checkpoints="/nowhere"))
while True:
    import select
    ready, _, _ = select.select([child.pipe], [], [], 0.05)
    if ready and not child.listen():
        break
    if time.monotonic() > child.give_up:
        child.kill()
result = child.collect()
print(json.dumps([result.ok, result.code, result.effect, result.detail]))
"""


def act(body: str, timeout_ms: int = 5_000, start_s: float = 0.0) -> list[Any]:
    """Run an action's body in the sandbox, which takes so long to get ready; return its result."""
    lines = "\n".join("    " + line for line in body.splitlines())
    program = PROGRAM.format(body=lines, timeout_ms=timeout_ms, start_s=start_s)
    environment = {**os.environ, "SECRET": "of the pool"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)
    found: list[Any] = json.loads(done.stdout)
    return found


def said(expression: str) -> Any:
    """Return the value of an expression inside the sandbox."""
    return json.loads(act(f"return Result(True, 'x', 'none', json.dumps({expression}))")[3])


def test_nothing_of_the_pools_environment_is_there() -> None:
    """An action sees a search path and a language, and no variable of the pool's."""
    assert said("dict(os.environ)") == {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def test_no_descriptor_is_inherited() -> None:
    """An action has the three standard descriptors on /dev/null and its pipe, even when more were inheritable."""
    descriptors = "(f'/proc/self/fd/{number}' for number in range(256))"
    links = said(f"[os.readlink(path) for path in {descriptors} if os.path.islink(path)]")
    assert [link.split(":")[0] for link in links] == ["/dev/null"] * 3 + ["pipe"]


@pytest.mark.parametrize(
    ("limit", "most"),
    [
        ("RLIMIT_CPU", 6),
        ("RLIMIT_AS", 1 << 30),
        ("RLIMIT_NOFILE", 256),
        ("RLIMIT_FSIZE", 256 << 20),
        ("RLIMIT_CORE", 0),
    ],
)
def test_an_action_has_limits(limit: str, most: int) -> None:
    """Each limit of an action is set."""
    assert 0 <= said(f"__import__('resource').getrlimit(__import__('resource').{limit})[0]") <= most


def test_too_much_memory_is_a_result() -> None:
    """An action that wants more memory than allowed fails with that word."""
    assert act("bytearray(2 << 30)")[:3] == [False, "out_of_memory", "unknown"]


def test_an_action_that_never_ends_is_killed_with_what_it_started() -> None:
    """After its time-out an action and its children are gone."""
    body = "import subprocess\nsubprocess.Popen(['/bin/sleep', '61.5'])\ntime.sleep(60)"
    assert act(body, timeout_ms=300)[:3] == [False, "timed_out", "unknown"]
    assert not [pid for pid in psutil.pids() if b"61.5" in _command_line(pid)]


def test_a_detached_service_survives_the_end_of_its_action(tmp_path: Path) -> None:
    """What leads a session of its own is not killed with the action that started it."""
    pid_file = tmp_path / "pid"
    body = (
        "import subprocess\n"
        "p = subprocess.Popen(['/bin/sleep', '62.5'], start_new_session=True)\n"
        f"open('{pid_file}', 'w').write(str(p.pid))\n"
        "time.sleep(60)"
    )
    assert act(body, timeout_ms=300)[1] == "timed_out"
    pid = int(pid_file.read_text("ascii"))
    assert b"62.5" in _command_line(pid)
    os.kill(pid, 9)


def test_an_error_is_a_result() -> None:
    """An action that raises has failed; what happened is in the detail, for the log."""
    ok, code, effect, detail = act("raise OSError('disk is full')")
    assert (ok, code, effect) == (False, "failed", "unknown")
    assert "disk is full" in detail


def test_an_action_that_dies_has_crashed() -> None:
    """A child that ends without a result makes one."""
    assert act("os._exit(3)")[:3] == [False, "crashed", "unknown"]


def test_each_action_of_the_core_is_one_of_the_catalogue() -> None:
    """What decide may choose is what workers can do, for the same service type, and repeatable alike."""
    chosen = [row for row in strategies().actions if row.service_type != "any"]
    assert chosen
    for row in chosen:
        known = actions()[row.id]
        assert (known.service_type, known.repeatable) == (row.service_type, row.repeatable), row.id


def test_each_action_has_a_function_and_a_role() -> None:
    """The catalogue, the handlers and the roles name the same actions; an undo is one of them."""
    assert set(actions()) == set(HANDLERS) == set().union(*ROLES.values())
    for action in actions().values():
        assert callable(handler(action.id))
        assert action.id in ROLES[role_of(action.id)]
        assert not action.undo or action.undo in actions()


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_slow_start_takes_of_the_actions_own_time() -> None:
    """What it took to begin is no longer there for the action: its own time-out comes before it is killed."""
    ok, code, effect, left_ms = act("return Result(False, 'timed_out', 'none', str(order.timeout_ms))", 600, 0.4)
    assert (ok, code, effect) == (False, "timed_out", "none")
    assert 1 <= int(left_ms) <= 200
