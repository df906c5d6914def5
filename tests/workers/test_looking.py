"""What looks find, on real processes, ports, files and locks; and that they leave everything as it is."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from streams.catalogue import teams
from streams.catalogue.actions import actions
from streams.core.inventory import ProbeSpec, ServiceSpec
from streams.workers import checkpoints, looking, proposals, running, tools, vitals
from streams.workers.orders import order_of
from streams.workers.results import Result, Surroundings
from tests.ports import free_port
from tests.workers.kit import Executor, command, process_spec, until
from tests.workers.test_looks import certificate

TOPICS_OF = tuple(dict.fromkeys(row.topic for row in teams().findings))


def around(root: Path, **fields: Any) -> Surroundings:
    """Return the surroundings of a service below ``root``."""
    return Surroundings(checkpoints=str(root / "checkpoints"), **fields)


def seen(spec: ServiceSpec, topic: str, root: Path, **fields: Any) -> dict[str, float]:
    """Return what a look at a topic finds; it says nothing else."""
    asked = command(spec, f"{spec.type}.look", arguments={"topic": topic})
    result = looking.look(order_of(asked), around(root, **fields))
    assert (result.ok, result.code, result.effect) == (True, "looked", "none")
    return result.findings


def propose(spec: ServiceSpec, root: Path) -> Result:
    """Have a change proposed."""
    return proposals.propose(order_of(command(spec, f"{spec.type}.propose")), around(root))


@pytest.fixture
def listening() -> Iterator[tuple[int, socket.socket]]:
    """Yield a port of this process's own that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1], server


@contextlib.contextmanager
def holding(path: Path, how: str) -> Iterator[None]:
    """Have another process lock a file."""
    code = f"import fcntl, time; f = open({str(path)!r}, 'a'); fcntl.{how}; print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        yield
        holder.kill()


# ----------------------------------------------------------------------------------------------------------- tables


def test_topics_and_findings_of_the_tables_are_those_of_the_looks() -> None:
    """The action takes the topics that the findings have, specialists look at no other, and each topic can be seen."""
    topics = {parameter.name: parameter for parameter in actions()["process.look"].parameters}["topic"].values
    assert set(topics) == set(TOPICS_OF)
    assert {topic for row in teams().specialists for topic in row.topics} <= set(topics)
    assert set(looking._TOPICS) == set(topics)


# ----------------------------------------------------------------------------------------------------- the process


def test_a_running_process_is_seen(root: Path, executor: Executor) -> None:
    """Of a process that runs: alive, since when, its memory, descriptors and threads are those that it has."""
    spec = process_spec(root)
    executor.run(command(spec, "process.start"))
    current = running.find(spec)
    assert current
    process = psutil.Process(current.identity.pid)
    found = seen(spec, "process", root)
    assert found["process_alive"] == 1.0
    assert abs(found["process_memory_mb"] - process.memory_info().rss / vitals.MEBIBYTE) < 1.0
    assert found["process_threads"] == process.num_threads()
    soft, _ = process.rlimit(psutil.RLIMIT_NOFILE)
    assert found["process_descriptors_share"] == pytest.approx(process.num_fds() / soft, abs=1e-5)
    since = time.time() - process.create_time()
    assert abs(found["process_uptime_seconds"] - since) < 2.0


def test_a_process_that_is_down_is_seen(root: Path) -> None:
    """Of a process that does not run only that is said."""
    assert seen(process_spec(root), "process", root) == {"process_alive": 0.0}


def test_a_stopped_process_does_not_run(root: Path, executor: Executor) -> None:
    """A process that was stopped by a signal is not alive, whatever it holds."""
    spec = process_spec(root)
    executor.run(command(spec, "process.start"))
    current = running.find(spec)
    assert current
    os.kill(current.identity.pid, signal.SIGSTOP)
    until(lambda: psutil.Process(current.identity.pid).status() == psutil.STATUS_STOPPED)
    found = seen(spec, "process", root)
    assert found["process_alive"] == 0.0
    assert found["process_memory_mb"] > 0


def test_nothing_is_said_of_what_can_not_be_asked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without systemctl, docker or kubectl, or for a service that declares nothing, no topic but the host's is seen."""
    monkeypatch.setattr(tools, "SYSTEM_PATH", "/nonexistent")
    for fields in (
        {"type": "systemd", "unit": "orders.service"},
        {"type": "docker", "container": "orders"},
        {"type": "kubernetes", "namespace": "shop", "deployment": "orders"},
        {"type": "http", "base_url": "http://127.0.0.1:1"},
        {"type": "process"},
    ):
        spec = ServiceSpec(name="orders", host="h1", mode="auto", **fields)  # type: ignore[arg-type]
        assert not any(seen(spec, topic, root) for topic in TOPICS_OF if topic != "host")


PROGRAM = """#!{python} -IS
import sys
verb = [word for word in sys.argv[1:] if not word.startswith("-")][0]
print({{"show": {show!r}, "inspect": {inspect!r}, "get": {get!r}}}[verb])
sys.exit({status})
"""


def managers(root: Path, *, show: str = "", inspect: str = "", get: str = "", status: int = 0) -> str:
    """Write programs that answer as systemctl, docker and kubectl do; return where they are."""
    directory = root / "tools"
    directory.mkdir(exist_ok=True)
    for name in ("systemctl", "docker", "kubectl"):
        text = PROGRAM.format(python=sys.executable, show=show, inspect=inspect, get=get, status=status)
        (directory / name).write_text(text, "utf-8")
        (directory / name).chmod(0o755)
    return str(directory)


def test_a_unit_is_seen_through_its_manager(root: Path) -> None:
    """Of an active unit: alive, its memory as the manager counts it, and what its main process shows."""
    spec = ServiceSpec(name="orders", host="h1", mode="auto", type="systemd", unit="orders.service")
    show = f"ActiveState=active\nMainPID={os.getpid()}\nMemoryCurrent={64 << 20}"
    found = seen(spec, "process", root, tool_path=managers(root, show=show))
    assert (found["process_alive"], found["process_memory_mb"]) == (1.0, 64.0)
    assert found["process_threads"] == psutil.Process().num_threads()
    failed = managers(root, show="ActiveState=failed\nMainPID=0\nMemoryCurrent=[not set]")
    assert seen(spec, "process", root, tool_path=failed) == {"process_alive": 0.0}
    assert seen(spec, "process", root, tool_path=managers(root, show="no bus", status=1)) == {}


def test_a_container_is_seen_through_its_manager(root: Path) -> None:
    """A container runs, does not run, or is not there; a daemon that does not answer says nothing of it."""
    spec = ServiceSpec(name="orders", host="h1", mode="auto", type="docker", container="orders_1")
    up = managers(root, inspect=f"true {os.getpid()}")
    assert seen(spec, "process", root, tool_path=up)["process_alive"] == 1.0
    assert seen(spec, "process", root, tool_path=managers(root, inspect="false 0")) == {"process_alive": 0.0}
    gone = managers(root, inspect="Error: No such container: orders_1", status=1)
    assert seen(spec, "process", root, tool_path=gone) == {"process_alive": 0.0}
    silent = managers(root, inspect="Cannot connect to the Docker daemon", status=1)
    assert seen(spec, "process", root, tool_path=silent) == {}


def test_a_deployment_is_seen_through_its_manager(root: Path) -> None:
    """A deployment is alive while a replica is available."""
    spec = ServiceSpec(name="o", host="h1", mode="auto", type="kubernetes", namespace="shop", deployment="orders")
    for said, alive in (("2", 1.0), ("0", 0.0), ("", 0.0)):
        assert seen(spec, "process", root, tool_path=managers(root, get=said)) == {"process_alive": alive}


# ------------------------------------------------------------------------------------- ports, dependencies, names


def test_a_port_of_the_service_is_open(root: Path, executor: Executor) -> None:
    """A service that listens on its port has it open, in milliseconds, and to itself."""
    port = free_port()
    spec = process_spec(root, "api", f"port={port}", port=port)
    executor.run(command(spec, "process.start"))
    until(lambda: seen(spec, "ports", root).get("port_open"), "the service listens")
    found = seen(spec, "ports", root)
    assert (found["port_open"], found["port_foreign"]) == (1.0, 0.0)
    assert 0.0 <= found["port_connect_ms"] < looking.CONNECT_SECONDS * 1000


def test_a_stranger_on_the_port_is_foreign(root: Path, listening: tuple[int, socket.socket]) -> None:
    """A port that another process listens on is open, and foreign."""
    found = seen(process_spec(root, port=listening[0]), "ports", root)
    assert (found["port_open"], found["port_foreign"]) == (1.0, 1.0)


def test_a_closed_port_is_nobodys(root: Path) -> None:
    """Where nobody listens the port is closed, nobody foreign is there, and no time is told."""
    assert seen(process_spec(root, port=free_port()), "ports", root) == {"port_open": 0.0, "port_foreign": 0.0}


def test_dependencies_that_are_down_are_counted(root: Path, listening: tuple[int, socket.socket]) -> None:
    """Of the declared dependencies on this host those whose port nobody accepts connections on are counted."""
    spec = process_spec(root, depends_on=("database", "cache", "elsewhere"))
    ports = {"database": listening[0], "cache": free_port(), "other": free_port()}
    assert seen(spec, "dependencies", root, dependencies=ports) == {"dependencies_down": 1.0}
    assert seen(spec, "dependencies", root) == {}


def test_names_that_do_not_resolve_are_counted(root: Path) -> None:
    """Host names of probes are asked for; addresses are not names."""
    targets = ("localhost:1", "127.0.0.1:1", "[::1]:1", "no-such-host.invalid:1")
    probes = tuple(ProbeSpec(kind="tcp", target=target) for target in targets)
    assert seen(process_spec(root, probes=probes), "names", root) == {"names_unresolved": 1.0}
    http = (ProbeSpec(kind="http", target="http://absent.invalid/health"),)
    web = ServiceSpec(name="web", host="h1", mode="auto", type="http", base_url="http://localhost:1", probes=http)
    assert seen(web, "names", root) == {"names_unresolved": 1.0}


# ------------------------------------------------------------------------------------ locks, files, certificates


@pytest.mark.parametrize("how", ["flock(f, fcntl.LOCK_EX)", "lockf(f, fcntl.LOCK_EX)"])
def test_held_locks_are_counted(root: Path, how: str) -> None:
    """Each declared lock file that another process has locked counts, one that nobody has does not."""
    held, free = root / "held.lock", root / "free.lock"
    held.touch()
    free.touch()
    spec = process_spec(root, lock_files=(str(held), str(free)))
    assert seen(spec, "locks", root) == {"locks_held": 0.0}
    with holding(held, how):
        assert seen(spec, "locks", root) == {"locks_held": 1.0}


def configured(root: Path) -> tuple[ServiceSpec, Path, Path]:
    """Return a service with two configuration files, of which there is a checkpoint."""
    first, second = root / "first.conf", root / "second.conf"
    first.write_text("a\nb\nc\n", "utf-8")
    second.write_text("x\n", "utf-8")
    spec = process_spec(root, config_files=(str(first), str(second)))
    checkpoints.take(spec, root / "checkpoints")
    return spec, first, second


def test_changed_configuration_is_counted(root: Path) -> None:
    """Files that differ from the last checkpoint are counted: changed and deleted ones; without one nothing is said."""
    spec, first, second = configured(root)
    assert seen(spec, "configuration", root) == {"configuration_changed": 0.0}
    first.write_text("a\nb\nworse\n", "utf-8")
    assert seen(spec, "configuration", root) == {"configuration_changed": 1.0}
    second.unlink()
    assert seen(spec, "configuration", root) == {"configuration_changed": 2.0}
    bare = process_spec(root, "bare", config_files=(str(first),))
    assert seen(bare, "configuration", root) == {}


def test_a_proposal_is_what_a_rollback_would_put_back(root: Path) -> None:
    """The coder writes each changed file's checksums and its difference to the checkpoint, and counts its lines."""
    spec, first, _ = configured(root)
    first.write_text("a\nworse\nbad\nc\n", "utf-8")
    result = propose(spec, root)
    assert (result.ok, result.code, result.effect) == (True, "proposed", "none")
    assert result.findings == {"configuration_lines_changed": 2.0}
    written = msgspec.json.decode(proposals.path_of(spec, root).read_bytes(), type=proposals.Proposal)
    (file,) = written.files
    assert file.path == str(first)
    assert {"-worse", "-bad", "+b"} <= set(file.diff.splitlines())
    assert written.sha256 == proposals.checksum(written.files)
    checkpoints.restore(spec, root)
    assert hashlib.sha256(first.read_bytes()).hexdigest() == file.sha256_proposed
    assert propose(spec, root).findings == {"configuration_lines_changed": 0.0}
    assert not proposals.path_of(spec, root).exists()


def test_there_is_no_proposal_without_a_checkpoint(root: Path) -> None:
    """A service without a checkpoint gets no proposal, and no finding."""
    (root / "a.conf").write_text("x", "utf-8")
    result = propose(process_spec(root, config_files=(str(root / "a.conf"),)), root)
    assert (result.ok, result.code, result.findings) == (False, "no_checkpoint", {})


def test_a_long_file_is_proposed_without_a_diff(root: Path) -> None:
    """Of a file that is too long to compare all lines between the first and the last change count."""
    file = root / "long.conf"
    lines = [f"line {number}" for number in range(proposals.LINES_MAX + 10)]
    file.write_text("\n".join(lines), "utf-8")
    spec = process_spec(root, config_files=(str(file),))
    checkpoints.take(spec, root / "checkpoints")
    lines[100] = lines[104] = "other"
    file.write_text("\n".join(lines), "utf-8")
    assert propose(spec, root).findings == {"configuration_lines_changed": 5.0}


def test_the_certificate_that_ends_first_counts(root: Path) -> None:
    """Days are those until the first declared certificate ends, below 0 when it has; unreadable ones say nothing."""
    paths = {}
    for days in (90, 5, -3):
        (root / str(days)).mkdir()
        paths[days] = certificate(root / str(days), days).trusted
    (root / "none").write_text("no certificate", "utf-8")

    def days_left(*targets: Path) -> dict[str, float]:
        probes = tuple(ProbeSpec(kind="certificate", target=str(target), limit=1.0) for target in targets)
        return seen(process_spec(root, probes=probes), "certificate", root)

    assert days_left(paths[90], paths[5], root / "none")["certificate_days_left"] == pytest.approx(5, abs=0.1)
    assert days_left(paths[90], paths[-3])["certificate_days_left"] == pytest.approx(-3, abs=0.1)
    assert days_left(root / "none") == {}


# ------------------------------------------------------------------------------------------------- disk and host


def test_the_size_of_caches_is_told(root: Path) -> None:
    """What declared caches hold is the sum of their files, links not followed; the disk is as full as statvfs says."""
    cache = root / "cache"
    (cache / "deep").mkdir(parents=True)
    (cache / "a").write_bytes(os.urandom(1 << 20))
    (cache / "deep" / "b").write_bytes(os.urandom(2 << 20))
    (cache / "link").symlink_to("/usr")
    found = seen(process_spec(root, caches=(str(cache),)), "disk", root)
    assert found["cache_mb"] == pytest.approx(3.0, abs=0.1)
    usage = psutil.disk_usage(str(root))
    inodes = os.statvfs(root)
    by_inodes = 100 * (1 - inodes.f_ffree / inodes.f_files) if inodes.f_files else 0.0
    assert found["disk_used_percent"] == pytest.approx(max(usage.percent, by_inodes), abs=1.0)


def test_the_host_is_seen(root: Path) -> None:
    """Processors and memory of the host are told in percent."""
    found = seen(process_spec(root), "host", root)
    assert found["host_memory_percent"] == pytest.approx(psutil.virtual_memory().percent, abs=5.0)
    assert 0.0 <= found["host_cpu_percent"] <= 100.0


def test_a_survey_is_made_of_flags(root: Path, listening: tuple[int, socket.socket]) -> None:
    """The architect says what there is to look at: whether it runs, and who is on its port."""
    spec = process_spec(root, port=listening[0])
    result = looking.survey(order_of(command(spec, "process.survey")), around(root))
    assert result.findings == {"process_alive": 0.0, "port_open": 1.0, "port_foreign": 1.0}


# --------------------------------------------------------------------------------------------------- read-only


def picture(root: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return everything below a directory: bytes, mode and time of change of each file."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (data, status.st_mode, status.st_mtime_ns)
    return found


def test_looks_change_nothing(root: Path, executor: Executor) -> None:
    """A look at every topic, a survey and a verification leave every file of a service's directory as it was."""
    home = root / "service"
    home.mkdir()
    port = free_port()
    spec, _, _ = configured(home)
    (home / "cache").mkdir()
    (home / "cache" / "x").write_text("x", "utf-8")
    (home / "a.lock").touch()
    pem = certificate(home, 10).trusted
    spec = msgspec.structs.replace(
        spec,
        argv=(*spec.argv, f"port={port}"),
        port=port,
        caches=(str(home / "cache"),),
        lock_files=(str(home / "a.lock"),),
        depends_on=("database",),
        probes=(
            ProbeSpec(kind="process"),
            ProbeSpec(kind="tcp", target=f"localhost:{port}"),
            ProbeSpec(kind="certificate", target=str(pem), limit=1.0),
        ),
    )
    executor.run(command(spec, "process.start"))
    until(lambda: seen(spec, "ports", root).get("port_open"), "the service listens")
    executor.around = Surroundings(checkpoints=str(home / "checkpoints"), dependencies={"database": port})
    before = picture(home)
    found: dict[str, float] = {}
    for number, topic in enumerate(TOPICS_OF, 1):
        found |= executor.run(command(spec, "process.look", number, arguments={"topic": topic})).result.findings
    found |= executor.run(command(spec, "process.survey", 20)).result.findings
    executor.run(command(spec, "process.verify", 21))
    assert picture(home) == before
    assert set(found) == {row.code for row in teams().findings} - {"configuration_lines_changed"}
