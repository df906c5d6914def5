"""What lies beside a service on the disk is written by others: pid files, switches, marks, logs, locks."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from streams.cli import files
from streams.core.config import Inventory, canonical
from streams.core.errors import InputError
from streams.core.events import Command
from streams.core.inventory import ProbeSpec, ServiceSpec, Switch, check_service
from streams.workers import running
from streams.workers.switches import MARK, Mark
from tests.workers.kit import Executor, command, process_spec

VALUES = ("on", "off")


def steered(root: Path) -> ServiceSpec:
    """Return a service with a switch."""
    switch = Switch(kind="feature", file=str(root / "features"), values=VALUES)
    return process_spec(root, switches={"features": switch})


def degrade(spec: ServiceSpec, seq: int = 0) -> Command:
    """Return the command that moves the switch."""
    return command(spec, "process.degrade", seq, arguments={"switch": "features"})


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\n", b"; id", b"1; id", b"$(id)", b"-1", b"0", b"1", b"99999999999999999999", b"\xff\xfe", b"\0"),
        *("\u0661\u0662".encode(), b"1 2 3 4", b"12\nx\n1-0-0\n", b"../../etc/passwd", b"a" * 100_000),
    ],
)
def test_what_a_pid_file_holds_is_no_process(root: Path, content: bytes) -> None:
    """Whatever stands in a pid file, it leads to no process that is not the service."""
    spec = process_spec(root)
    Path(spec.pid_file).write_bytes(content)
    assert running.find(spec) is None


def test_a_pid_file_that_is_a_pipe_holds_nobody_up(root: Path) -> None:
    """A pid file that is a pipe without a writer is read as none: a look at the service must not hang."""
    spec = process_spec(root)
    os.mkfifo(spec.pid_file)
    assert running.find(spec) is None


def test_a_switch_that_is_a_pipe_is_refused(root: Path, executor: Executor) -> None:
    """A switch that is a pipe is not moved, and the worker, which moves switches itself, does not wait for it."""
    spec = steered(root)
    os.mkfifo(root / "features")
    ended = executor.run(degrade(spec))
    assert (ended.result.code, ended.result.effect) == ("bad_switch", "none")


@pytest.mark.parametrize("after", ["; id", "", "on\noff", "../off", "OFF", "x" * 100_000])
def test_a_forged_mark_leads_to_no_value_of_its_own(root: Path, executor: Executor, after: str) -> None:
    """A mark that names the next command and a value that is not declared is no mark: the declared value is set."""
    spec = steered(root)
    (root / f"features{MARK}").write_bytes(msgspec.json.encode(Mark("1-0-0", "on", after)))
    assert executor.run(degrade(spec)).result.code == "switched"
    assert (root / "features").read_text() == "off\n"


def test_a_link_beside_a_log_leads_nowhere(root: Path, executor: Executor) -> None:
    """A link in the place of the copy of a log is moved on as it is: what it points to is not written."""
    spec = process_spec(root, rotate_log=True)
    Path(spec.log_file).write_text("hostile\n")
    Path(f"{spec.log_file}.1").symlink_to(root / "canary")
    assert executor.run(command(spec, "process.rotate_log")).result.code == "rotated"
    assert not (root / "canary").exists()
    assert Path(f"{spec.log_file}.1").read_text() == "hostile\n"
    assert Path(f"{spec.log_file}.2").is_symlink()


def test_what_a_lock_file_holds_is_kept(root: Path, executor: Executor) -> None:
    """A lock is held by its file's name; what stands in it is neither read nor changed."""
    spec = process_spec(root)
    lock = Path(f"{spec.pid_file}.lock")
    lock.write_text("$(touch canary)\n")
    assert executor.run(command(spec, "process.start")).result.code == "started"
    assert lock.read_text() == "$(touch canary)\n"


def test_a_lock_that_is_a_link_is_not_followed(root: Path, executor: Executor) -> None:
    """A link in the place of a lock ends the action before it begins, and its target is not created."""
    spec = process_spec(root)
    Path(f"{spec.pid_file}.lock").symlink_to(root / "canary")
    assert not executor.run(command(spec, "process.start")).result.ok
    assert not (root / "canary").exists()


# ------------------------------------------------------------------------------------------------ the inventory's own


def test_a_whole_number_is_a_limit(tmp_path: Path, root: Path, executor: Executor) -> None:
    """An entry with ``limit = 7`` is the entry with ``limit = 7.0``, in TOML, in Python and in a command."""
    whole, broken = (
        ProbeSpec(kind="certificate", target="/x", limit=7),
        ProbeSpec(kind="certificate", target="/x", limit=7.0),
    )
    specs = [process_spec(root, probes=(probe,)) for probe in (whole, broken)]
    assert canonical(specs[0]) == canonical(specs[1])
    path = tmp_path / "services.toml"
    path.write_text(
        '[[services]]\nname = "api"\nhost = "h1"\n[[services.probes]]\nkind = "disk"\ntarget = "/"\nlimit = 7\n'
    )
    read = files.read(path)
    assert isinstance(read, Inventory)
    assert canonical(msgspec.json.decode(canonical(read), type=Inventory)) == canonical(read)
    assert executor.run(command(specs[0], "process.start")).result.code == "started"


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -float("inf")])
def test_a_limit_is_a_number(root: Path, limit: float) -> None:
    """A limit that JSON has no word for is refused when the inventory is applied, not when it is read."""
    with pytest.raises(InputError, match="limit is a number"):
        check_service(process_spec(root, probes=(ProbeSpec(kind="tcp", target="h:1", limit=limit),)))
