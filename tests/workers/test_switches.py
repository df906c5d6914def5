"""Switches: declared files that move by one value, once per command, and the signal after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.core.inventory import ServiceSpec, Switch
from streams.workers import switches
from streams.workers.files import write_whole
from streams.workers.results import Result
from tests.workers.kit import Executor, command, process_spec, until

KINDS = {
    "fallback": "upstream",
    "restore_upstream": "upstream",
    "degrade": "feature",
    "restore_features": "feature",
    "isolate": "traffic",
    "rejoin": "traffic",
    "scale_up": "replicas",
    "scale_down": "replicas",
}
VALUES = {
    "upstream": ("a", "b", "c"),
    "feature": ("full", "lean"),
    "traffic": ("in", "out"),
    "replicas": ("1", "2", "4"),
}

MOVES = [
    ("fallback", "a", "b", "switched"),
    ("fallback", "b", "c", "switched"),
    ("fallback", "c", "a", "switched"),
    ("fallback", "", "b", "switched"),
    ("restore_upstream", "c", "a", "switched"),
    ("degrade", "full", "lean", "switched"),
    ("degrade", "lean", "lean", "unchanged"),
    ("restore_features", "lean", "full", "switched"),
    ("isolate", "in", "out", "switched"),
    ("rejoin", "out", "in", "switched"),
    ("scale_up", "1", "2", "switched"),
    ("scale_up", "2", "4", "switched"),
    ("scale_up", "4", "4", "at_limit"),
    ("scale_down", "4", "2", "switched"),
    ("scale_down", "1", "1", "at_limit"),
    ("scale_up", "rubbish", "1", "switched"),
]


def spec_of(root: Path, verb: str, signal: str = "") -> ServiceSpec:
    """Return a service with the switch that a verb moves."""
    kind = KINDS[verb]
    switch = Switch(kind=kind, file=str(root / kind), values=VALUES[kind], signal=signal)
    return process_spec(root, switches={kind: switch})


def run(executor: Executor, spec: ServiceSpec, verb: str, **fields: Any) -> Result:
    """Move the switch of a verb."""
    return executor.run(command(spec, f"process.{verb}", arguments={"switch": KINDS[verb]}, **fields)).result


@pytest.mark.parametrize(("verb", "before", "after", "code"), MOVES)
def test_move(root: Path, executor: Executor, verb: str, before: str, after: str, code: str) -> None:
    """A verb moves its switch from one value to another, or says that there is none."""
    spec = spec_of(root, verb)
    path = root / KINDS[verb]
    if before:
        path.write_text(before + "\n", "utf-8")
    result = run(executor, spec, verb)
    assert (result.code, result.ok) == (code, code != "at_limit")
    assert path.read_text("utf-8").strip() == after


def test_the_same_command_moves_once(root: Path, executor: Executor) -> None:
    """A command that is run again, even after a crash between mark and file, leaves the switch where it put it."""
    spec = spec_of(root, "fallback")
    path = root / "upstream"
    run(executor, spec, "fallback")
    write_whole(path, b"a\n")  # as if the worker had died before the file was replaced
    again = run(executor, spec, "fallback")
    assert (again.code, path.read_text("utf-8")) == ("already_done", "b\n")
    assert run(executor, spec, "fallback", id="1-7-0").code == "switched"
    assert path.read_text("utf-8") == "c\n"


def test_the_service_is_told(root: Path, executor: Executor) -> None:
    """After a move the service gets the signal that it declares."""
    told = root / "told"
    script = root / "listener.py"
    script.write_text(
        "import signal, sys, time\n"
        "def heard(*_):\n    open(sys.argv[1], 'w').close()\n"
        "signal.signal(signal.SIGUSR1, heard)\n"
        "open(sys.argv[2], 'w').close()\n"
        "while True:\n    time.sleep(0.05)\n",
        "utf-8",
    )
    spec = spec_of(root, "degrade", "USR1")
    spec = process_spec(
        root, argv=(*spec.argv[:3], str(script), str(told), str(root / "ready")), switches=spec.switches
    )
    assert executor.run(command(spec, "process.start", seq=3)).result.ok
    until((root / "ready").exists, "the service's start")
    assert run(executor, spec, "degrade", seq=4).ok
    until(told.exists, "the signal")


def test_a_switch_that_is_not_declared_is_refused(root: Path, executor: Executor) -> None:
    """Only a switch of the inventory's entry can be named."""
    ended = executor.run(command(spec_of(root, "degrade"), "process.degrade", arguments={"switch": "other"}))
    assert (ended.status, ended.result.code) == ("refused", "bad_argument")


def test_every_verb_that_moves_a_switch_says_where(root: Path) -> None:
    """The table of moves and the tests' table name the same verbs."""
    assert set(switches.MOVES) == set(KINDS)
