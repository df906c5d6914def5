"""Actions on real processes, carried out by a real worker."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from streams.core.inventory import ServiceSpec
from streams.workers import blockers, proc, running
from streams.workers.results import Surroundings
from tests.ports import free_port
from tests.workers.kit import Executor, command, process_spec, starts, until

HOLD_PORT = """
import socket, sys, time
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
time.sleep(60)
"""
HOLD_LOCK = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("begin exclusive")
print("ready", flush=True)
time.sleep(60)
"""


def pid_of(spec: ServiceSpec) -> int:
    """Return the service's pid; 0 when it is down."""
    found = running.find(spec)
    return found.identity.pid if found else 0


def hold(root: Path, script: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a process that is in the way, and wait until it is."""
    path = root / "hold.py"
    path.write_text(script, "utf-8")
    process = subprocess.Popen([sys.executable, "-I", str(path), *arguments], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()
    return process


def test_a_start_is_recorded_with_its_command(root: Path, executor: Executor) -> None:
    """A started service runs detached, and its pid file names pid, start time and command."""
    spec = process_spec(root)
    ended = executor.run(command(spec, "process.start", seq=7))
    assert (ended.status, ended.result.ok, ended.result.code) == ("done", True, "started")
    pid, ticks, by = Path(spec.pid_file).read_text("ascii").split()
    status = proc.status_of(int(pid))
    assert status
    assert (status.start_ticks, status.session, by) == (int(ticks), int(pid), "1-7-0")


def test_a_service_survives_its_worker(root: Path) -> None:
    """A service that a worker started lives on when the worker is killed."""
    spec = process_spec(root)
    with Executor(root) as worker:
        worker.run(command(spec, "process.start"))
        worker.process.kill()
        worker.process.wait()
    assert pid_of(spec)


def test_a_service_gets_a_clean_environment(root: Path, executor: Executor) -> None:
    """Nothing of the pool's environment reaches a service; what is declared does."""
    spec = process_spec(root, environment={"DECLARED": "yes"})
    executor.run(command(spec, "process.start"))
    environment = proc.environment_of(pid_of(spec))
    assert environment["DECLARED"] == "yes"
    assert "SECRET_OF_THE_POOL" not in environment


def test_a_service_gets_no_limits_and_no_descriptors(root: Path, executor: Executor) -> None:
    """A service has the worker's own limits, not the action's, and only its three standard descriptors."""
    spec = process_spec(root)
    executor.run(command(spec, "process.start"))
    ours = Path("/proc/self/limits").read_text("ascii").splitlines()
    its = Path(f"/proc/{pid_of(spec)}/limits").read_text("ascii").splitlines()
    assert its == ours
    assert {entry.name for entry in os.scandir(f"/proc/{pid_of(spec)}/fd")} == {"0", "1", "2"}


def test_a_running_service_is_not_started_twice(root: Path, executor: Executor) -> None:
    """Starting what runs has no effect and is a success."""
    spec = process_spec(root)
    executor.run(command(spec, "process.start", seq=1))
    until(lambda: starts(root))
    ended = executor.run(command(spec, "process.start", seq=2))
    assert (ended.result.ok, ended.result.code, ended.result.effect) == (True, "already_running", "none")
    assert starts(root) == ["1-1-0"]


def test_a_restart_happens_once(root: Path, executor: Executor) -> None:
    """The same restart run three times restarts once."""
    spec = process_spec(root)
    executor.run(command(spec, "process.start", seq=1))
    until(lambda: starts(root))
    again = command(spec, "process.restart", seq=2)
    codes = [executor.run(again).result.code for _ in range(3)]
    assert codes == ["started", "already_done", "already_done"]
    assert starts(root) == ["1-1-0", "1-2-0"]


def test_a_restart_is_recognised_without_a_pid_file(root: Path, executor: Executor) -> None:
    """A restart that was cut short before its pid file was written is found by its mark, and the file is mended."""
    spec = process_spec(root)
    once = command(spec, "process.restart", seq=2)
    executor.run(once)
    until(lambda: starts(root))
    pid = pid_of(spec)
    Path(spec.pid_file).unlink()
    assert executor.run(once).result.code == "already_done"
    assert starts(root) == ["1-2-0"]
    assert Path(spec.pid_file).read_text("ascii").split()[0] == str(pid)


def test_a_restart_whose_service_died_is_not_repeated(root: Path, executor: Executor) -> None:
    """A restart that took effect and whose service died since is reported as failed, not done again."""
    spec = process_spec(root)
    once = command(spec, "process.restart", seq=2)
    executor.run(once)
    until(lambda: starts(root))
    os.kill(pid_of(spec), signal.SIGKILL)
    until(lambda: not pid_of(spec))
    ended = executor.run(once)
    assert (ended.result.ok, ended.result.code, ended.result.effect) == (False, "exited", "once")
    assert starts(root) == ["1-2-0"]


def test_a_stale_pid_file_names_nobody(root: Path, executor: Executor) -> None:
    """A pid file whose pid belongs to a later process is not believed, and that process is left alone."""
    spec = process_spec(root)
    stranger = subprocess.Popen(["/bin/sleep", "60"])
    status = proc.status_of(stranger.pid)
    assert status
    Path(spec.pid_file).write_text(f"{stranger.pid}\n{status.start_ticks - 1}\n1-0-0\n", "ascii")
    assert executor.run(command(spec, "process.stop")).result.code == "not_running"
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_bare_pid_file_written_before_its_process_is_stale(root: Path) -> None:
    """A pid file without a start time names no process that was started after it was written."""
    spec = process_spec(root)
    stranger = subprocess.Popen(["/bin/sleep", "60"])
    path = Path(spec.pid_file)
    path.write_text(f"{stranger.pid}\n", "ascii")
    assert pid_of(spec) == stranger.pid
    os.utime(path, (time.time() - 60, time.time() - 60))
    assert pid_of(spec) == 0
    stranger.kill()
    stranger.wait()


@pytest.mark.parametrize("option", ["deaf=1", "forks=1"])
def test_stop_ends_the_whole_service(root: Path, executor: Executor, option: str) -> None:
    """A service that ignores SIGTERM, or whose children do, is gone after a stop."""
    spec = process_spec(root, "api", option)
    executor.run(command(spec, "process.start", seq=1))
    ended = executor.run(command(spec, "process.stop", seq=2, arguments={"grace_ms": "100"}))
    assert (ended.result.ok, ended.result.code, ended.result.effect) == (True, "stopped", "once")
    assert running.find(spec) is None
    assert running.leftovers(spec) == []


def test_a_hung_service_is_restarted(root: Path, executor: Executor) -> None:
    """A service stopped by SIGSTOP is replaced by a new process."""
    spec = process_spec(root, "api", "deaf=1")
    executor.run(command(spec, "process.start", seq=1))
    hung = pid_of(spec)
    os.kill(hung, signal.SIGSTOP)
    ended = executor.run(command(spec, "process.restart", seq=2, arguments={"grace_ms": "100"}))
    assert ended.result.code == "started"
    assert pid_of(spec) not in {0, hung}


def test_a_service_that_exits_at_once_has_not_started(root: Path, executor: Executor) -> None:
    """A program that ends right after its start makes a failed action."""
    broken = root / "broken"
    broken.touch()
    spec = process_spec(root, "api", f"fails_with={broken}")
    ended = executor.run(command(spec, "process.start"))
    assert (ended.status, ended.result.ok, ended.result.code) == ("done", False, "exited")


def test_a_missing_program_is_a_failed_action(root: Path, executor: Executor) -> None:
    """A program that is not there makes a failed action without effect."""
    spec = process_spec(root, argv=(str(root / "nowhere"),))
    ended = executor.run(command(spec, "process.start"))
    assert (ended.result.ok, ended.result.code, ended.result.effect) == (False, "not_startable", "none")


def test_who_holds_the_port_is_killed_and_the_service_started(root: Path, executor: Executor) -> None:
    """A process that listens on the declared port is killed and the service, which was down, runs."""
    port = free_port()
    blocker = hold(root, HOLD_PORT, str(port))
    spec = process_spec(root, "api", f"port={port}", port=port)
    assert executor.run(command(spec, "process.start", seq=1)).result.code == "exited"
    ended = executor.run(command(spec, "process.kill_blocker", seq=2, arguments={"port": str(port)}))
    assert (ended.result.ok, ended.result.code) == (True, "started")
    assert blocker.wait() == -signal.SIGTERM
    assert pid_of(spec)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_who_holds_the_database_lock_is_killed(root: Path, executor: Executor, mode: str) -> None:
    """A process with an exclusive transaction on the declared SQLite file is killed; the running service is not."""
    database = root / "store.db"
    connection = sqlite3.connect(database)
    connection.execute(f"pragma journal_mode = {mode}")
    connection.execute("create table t (x)")
    connection.close()
    blocker = hold(root, HOLD_LOCK, str(database))
    spec = process_spec(root, lock_files=(str(database),))
    executor.run(command(spec, "process.start", seq=1))
    before = pid_of(spec)
    ended = executor.run(command(spec, "process.kill_blocker", seq=2, arguments={"lock_file": str(database)}))
    assert (ended.result.ok, ended.result.code, ended.result.effect) == (True, "killed", "once")
    assert blocker.wait() == -signal.SIGTERM
    assert pid_of(spec) == before


def test_the_service_itself_is_no_blocker(root: Path, executor: Executor) -> None:
    """A service that listens on its own port is not killed as its own blocker."""
    port = free_port()
    spec = process_spec(root, "api", f"port={port}", port=port)
    executor.run(command(spec, "process.start", seq=1))
    until(lambda: list(blockers.listeners(port)))
    before = pid_of(spec)
    ended = executor.run(command(spec, "process.kill_blocker", seq=2))
    assert (ended.result.code, ended.result.effect) == ("no_blocker", "none")
    assert pid_of(spec) == before


def test_a_protected_service_is_never_killed_for_another(root: Path, executor: Executor) -> None:
    """A protected service that holds another's port stays, and the action says so."""
    port = free_port()
    holder = process_spec(root, "holder", f"port={port}")
    executor.run(command(holder, "process.start", seq=1))
    until(lambda: list(blockers.listeners(port)))
    executor.around = Surroundings(checkpoints=str(root), protected=(holder.pid_file,))
    ended = executor.run(command(process_spec(root, port=port), "process.kill_blocker", seq=2))
    assert (ended.result.ok, ended.result.code, ended.result.effect) == (False, "blocker_barred", "none")
    assert pid_of(holder)


def test_an_ancestor_is_never_killed(root: Path, executor: Executor) -> None:
    """The process that runs the pool is not killed, even when it holds the port of a service."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        spec = process_spec(root, port=held.getsockname()[1])
        assert executor.run(command(spec, "process.kill_blocker")).result.code == "blocker_barred"


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        (("python", "-m", "streams.workers.worker", "executor"), True),
        (("python", "-P", "-m", "analytics.writer"), True),
        (("/usr/bin/logmend", "decide"), True),
        (("python", "/usr/bin/logmend", "up"), True),
        (("java", "-cp", "x.jar", "kafka.Kafka", "server.properties"), True),
        (("python", "-m", "lab.rogue", "port", "80"), False),
        (("/usr/bin/streamsd", "-m", "x"), False),
    ],
)
def test_processes_of_logmend_are_known(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], *, ours: bool) -> None:
    """A command line of Logmend's own is recognised, and no other is."""
    monkeypatch.setattr(proc, "command_line_of", lambda pid: words)
    assert blockers.is_ours(123) is ours


def test_a_pid_file_that_names_an_ancestor_ends_nobody(root: Path, executor: Executor) -> None:
    """A service whose pid file names the pool's own parent is not stopped."""
    spec = process_spec(root)
    Path(spec.pid_file).write_text(f"{os.getpid()}\n", "ascii")
    ended = executor.run(command(spec, "process.stop", arguments={"grace_ms": "0"}))
    assert (ended.result.ok, ended.result.code) == (False, "not_stopped")


def test_a_configuration_goes_back_to_the_checkpoint(root: Path, executor: Executor) -> None:
    """A broken configuration is replaced by the last checkpoint's, mode included, and the service restarted."""
    config = root / "api.toml"
    config.write_text("good = true\n", "utf-8")
    config.chmod(0o640)
    spec = process_spec(root, config_files=(str(config),))
    executor.run(command(spec, "process.start", seq=1))
    assert executor.run(command(spec, "process.checkpoint", seq=2)).result.code == "taken"
    config.write_text("broken", "utf-8")
    config.chmod(0o600)
    ended = executor.run(command(spec, "process.rollback_config", seq=3))
    assert (ended.result.ok, ended.result.code) == (True, "started")
    assert config.read_text("utf-8") == "good = true\n"
    assert config.stat().st_mode & 0o777 == 0o640
    until(lambda: starts(root) == ["1-1-0", "1-3-0"])


def test_a_rollback_without_a_checkpoint_changes_nothing(root: Path, executor: Executor) -> None:
    """Without a checkpoint a rollback fails and the service goes on."""
    config = root / "api.toml"
    config.write_text("x", "utf-8")
    spec = process_spec(root, config_files=(str(config),))
    executor.run(command(spec, "process.start", seq=1))
    before = pid_of(spec)
    ended = executor.run(command(spec, "process.rollback_config", seq=2))
    assert (ended.result.ok, ended.result.code, ended.result.effect) == (False, "no_checkpoint", "none")
    assert pid_of(spec) == before


def test_two_actions_on_a_service_do_not_overlap(root: Path, executor: Executor) -> None:
    """Two restarts at once end one after the other, with one process left."""
    spec = process_spec(root)
    executor.send(command(spec, "process.restart", seq=1))
    executor.send(command(spec, "process.restart", seq=2))
    executor.answers(2)
    until(lambda: len(starts(root)) == 2)
    assert len(running.leftovers(spec)) == 1


def test_an_action_does_not_wait_for_ever_for_another(root: Path, executor: Executor) -> None:
    """An action whose service is locked by another gives up in time, without effect."""
    spec = process_spec(root)
    executor.run(command(spec, "process.start", seq=1))
    with Path(spec.pid_file + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = executor.run(command(spec, "process.stop", seq=3, timeout_ms=400))
    assert (ended.result.ok, ended.result.code, ended.result.effect) == (False, "busy", "none")
    assert pid_of(spec)


def test_a_changed_command_is_refused_by_the_worker(root: Path, executor: Executor) -> None:
    """A command that is not the one that was hashed has no effect."""
    spec = process_spec(root)
    changed = msgspec.structs.replace(command(spec, "process.start"), timeout_ms=9_999)
    ended = executor.run(changed)
    assert (ended.status, ended.result.code) == ("refused", "wrong_hash")
    assert starts(root) == []


def test_a_late_command_expires_at_the_worker(root: Path, executor: Executor) -> None:
    """A command whose time is over when the worker gets to it has no effect."""
    spec = process_spec(root)
    ended = executor.run(command(spec, "process.start"), give_up_ms=1)
    assert (ended.status, ended.result.effect) == ("expired", "none")
    assert starts(root) == []


def test_a_dry_run_does_nothing(root: Path, executor: Executor) -> None:
    """In a dry run nothing is started."""
    spec = process_spec(root)
    ended = executor.run(command(spec, "process.start"), dry_run=True)
    assert (ended.status, ended.result.code, ended.result.effect) == ("refused", "dry_run", "none")
    assert starts(root) == []
