"""Actions by the host's own programs: what systemctl, docker and kubectl are called with by a real worker."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.core.inventory import ServiceSpec
from streams.workers import tools
from streams.workers.results import Result, Surroundings
from tests.workers.kit import HOST, Executor, command

RECORDER = f"""#!{sys.executable}
import json, os, sys, time
here = os.path.dirname(os.path.abspath(sys.argv[0]))
with open(os.path.join(here, "calls"), "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
with open(os.path.join(here, "environment"), "w") as file:
    json.dump(dict(os.environ), file)
script = os.path.join(here, "script.json")
for words, answer, status in json.load(open(script)) if os.path.exists(script) else ():
    if words in " ".join(sys.argv[1:]):
        print(answer, end="")
        sys.exit(status)
"""

SPECS: dict[str, dict[str, Any]] = {
    "systemd": {"unit": "orders.service"},
    "docker": {"container": "orders_1", "reload_signal": "HUP"},
    "hybrid": {"unit": "orders-box", "container": "orders_1", "reload_signal": "USR1"},
    "kubernetes": {"namespace": "shop", "deployment": "orders", "context": "prod"},
}
QUIET = ["systemctl", "--no-ask-password", "--no-pager"]
KUBECTL = ["kubectl", "--context=prod", "--namespace=shop"]
SHOWN = "--output=jsonpath={.spec.replicas} {.metadata.annotations.logmend/replicas}"
ASKED = [*KUBECTL, "get", "deployment/orders", SHOWN]

CALLS: dict[str, list[list[str]]] = {
    "systemd.start": [[*QUIET, "start", "--", "orders.service"]],
    "systemd.stop": [[*QUIET, "stop", "--", "orders.service"]],
    "systemd.restart": [[*QUIET, "restart", "--", "orders.service"]],
    "systemd.reload": [[*QUIET, "reload", "--", "orders.service"]],
    "docker.start": [["docker", "start", "--", "orders_1"]],
    "docker.stop": [["docker", "stop", "--time=10", "--", "orders_1"]],
    "docker.restart": [["docker", "restart", "--time=10", "--", "orders_1"]],
    "docker.reload": [["docker", "kill", "--signal=HUP", "--", "orders_1"]],
    "hybrid.start": [[*QUIET, "start", "--", "orders-box"]],
    "hybrid.stop": [[*QUIET, "stop", "--", "orders-box"]],
    "hybrid.restart": [[*QUIET, "restart", "--", "orders-box"]],
    "hybrid.reload": [["docker", "kill", "--signal=USR1", "--", "orders_1"]],
    "kubernetes.restart": [[*KUBECTL, "rollout", "restart", "deployment/orders"]],
    "kubernetes.rollback_version": [[*KUBECTL, "rollout", "undo", "deployment/orders"]],
    "kubernetes.scale_up": [ASKED, [*KUBECTL, "scale", "--replicas=4", "deployment/orders"]],
    "kubernetes.scale_down": [ASKED, [*KUBECTL, "scale", "--replicas=2", "deployment/orders"]],
    "kubernetes.stop": [
        ASKED,
        [*KUBECTL, "annotate", "--overwrite", "deployment/orders", "logmend/replicas=3"],
        [*KUBECTL, "scale", "--replicas=0", "deployment/orders"],
    ],
    "kubernetes.start": [ASKED],
}


class Tools:
    """Executables that note how they are called."""

    def __init__(self, root: Path) -> None:
        self.path = root / "tools"
        self.path.mkdir()
        for name in ("systemctl", "docker", "kubectl"):
            (self.path / name).write_text(RECORDER, "utf-8")
            (self.path / name).chmod(0o755)

    def answer(self, *rows: tuple[str, str, int]) -> None:
        """Let calls that hold some words print something and end with a status."""
        (self.path / "script.json").write_text(json.dumps(rows), "utf-8")

    def calls(self) -> list[list[str]]:
        """Return the argument vectors so far."""
        noted = self.path / "calls"
        return [json.loads(line) for line in noted.read_text("utf-8").splitlines()] if noted.exists() else []


@pytest.fixture
def recorded(root: Path) -> Tools:
    """Return the executables, which answer that there are three replicas."""
    recorders = Tools(root)
    recorders.answer(("get deployment", "3 ", 0))
    return recorders


@pytest.fixture
def worker(root: Path, recorded: Tools) -> Iterator[Executor]:
    """Yield a worker that finds the executables first."""
    with Executor(root) as executor:
        executor.around = Surroundings(checkpoints=str(root / "checkpoints"), tool_path=str(recorded.path))
        yield executor


def spec_of(service_type: str, **fields: Any) -> ServiceSpec:
    """Return a service of a type."""
    return ServiceSpec(name="orders", host=HOST, mode="auto", type=service_type, **{**SPECS[service_type], **fields})


def run(worker: Executor, action: str, **fields: Any) -> Result:
    """Have an action carried out."""
    return worker.run(command(spec_of(action.partition(".")[0], **fields), action)).result


@pytest.mark.parametrize("action", CALLS)
def test_argument_vector(worker: Executor, recorded: Tools, action: str) -> None:
    """An action calls its program with exactly these words, and reports success."""
    result = run(worker, action)
    assert recorded.calls() == CALLS[action]
    assert result.ok


def test_environment_is_scrubbed(worker: Executor, recorded: Tools) -> None:
    """A program of the host sees nothing of the pool's environment."""
    run(worker, "systemd.restart")
    seen = json.loads((recorded.path / "environment").read_text())
    assert set(seen) - {"LC_CTYPE"} == {"PATH", "LANG"}


def test_a_program_that_fails_is_a_failure(worker: Executor, recorded: Tools) -> None:
    """The exit status is the outcome's code, and what was printed is for the pool's log."""
    recorded.answer(("restart", "Unit orders.service not found.", 5))
    result = run(worker, "systemd.restart")
    assert (result.ok, result.code, result.effect) == (False, "exit_5", "once")
    assert result.detail == "Unit orders.service not found."


def test_an_absent_program_is_said(root: Path) -> None:
    """Where the host has no such program nothing happens, and the outcome says so."""
    ran = tools.run(("no-such-program-of-ours", "restart"), 1_000, Surroundings(checkpoints=str(root)))
    assert ran.result("restarted") == Result(
        ok=False, code="no_tool", effect="none", detail="no-such-program-of-ours is not installed on this host"
    )


def test_a_program_that_takes_too_long_is_killed_with_its_children(root: Path) -> None:
    """When its time is over a program is ended with all that it started, and whether it took effect is not known."""
    script = root / "slow.py"
    script.write_text(f"#!{sys.executable}\nimport os, time\nos.fork()\nprint('begun', flush=True)\ntime.sleep(60)\n")
    script.chmod(0o755)
    result = tools.run((str(script),), 1_500, Surroundings(checkpoints=str(root))).result("done")
    assert (result.ok, result.code, result.effect) == (False, "timed_out", "unknown")
    assert result.detail.endswith("begun\nbegun")


def test_replicas_have_ends(worker: Executor, recorded: Tools) -> None:
    """The last replica stays; nothing is scaled from an answer that is no number."""
    recorded.answer(("get deployment", "1 ", 0))
    assert run(worker, "kubernetes.scale_down").code == "at_limit"
    recorded.answer(("get deployment", "lots", 0))
    assert run(worker, "kubernetes.scale_up").code == "bad_answer"
    assert not [call for call in recorded.calls() if "scale" in call]


@pytest.mark.parametrize(("kept", "replicas"), [("", 1), ("3", 3), ("0", 1), ("-2", 1), ("; id", 1), ("9999", 1)])
def test_a_stopped_deployment_starts_as_it_was(worker: Executor, recorded: Tools, kept: str, replicas: int) -> None:
    """A deployment of no replicas gets what it had before it was stopped, and one if nothing sensible was kept."""
    recorded.answer(("get deployment", f"0 {kept}", 0))
    assert run(worker, "kubernetes.start").code == "started"
    assert recorded.calls()[-1] == [*KUBECTL, "scale", f"--replicas={replicas}", "deployment/orders"]


def test_a_stopped_deployment_is_not_stopped_again(worker: Executor, recorded: Tools) -> None:
    """A second stop does not write down that there were no replicas."""
    recorded.answer(("get deployment", "0 3", 0))
    assert run(worker, "kubernetes.stop").code == "not_running"
    assert recorded.calls() == [ASKED]


def test_a_unit_without_a_signal_reloads_as_a_unit(worker: Executor, recorded: Tools) -> None:
    """A container never gets an empty signal, which docker takes for KILL: its unit reloads it."""
    assert run(worker, "hybrid.reload", reload_signal="").ok
    assert recorded.calls() == [[*QUIET, "reload", "--", "orders-box"]]


def test_rollback_of_a_unit_restores_and_restarts(worker: Executor, recorded: Tools, root: Path) -> None:
    """The declared files come back from the checkpoint before the unit is restarted."""
    config = root / "orders.toml"
    config.write_text("good", "utf-8")
    fields = {"config_files": (str(config),), "checkpoint_dir": str(root / "kept")}
    assert run(worker, "systemd.checkpoint", **fields).code == "taken"
    config.write_text("bad", "utf-8")
    assert run(worker, "systemd.rollback_config", **fields).ok
    assert config.read_text("utf-8") == "good"
    assert recorded.calls() == CALLS["systemd.restart"]


NAMES = ("-f", "--help", "a b", "a;b", "$(id)", "../x", "a/b", "a\nb", "*", "é", "x" * 300)


@pytest.mark.parametrize("field", ["unit", "container", "namespace", "deployment", "context"])
def test_no_name_becomes_an_option(worker: Executor, recorded: Tools, field: str) -> None:
    """A name that could be taken for an option, a path or a pattern is refused, and no program is called."""
    service_type = {"unit": "systemd", "container": "docker"}.get(field, "kubernetes")
    ends = [
        worker.run(command(spec_of(service_type, **{field: name}), f"{service_type}.restart", seq=number))
        for number, name in enumerate(NAMES)
    ]
    assert {(ended.status, ended.result.code) for ended in ends} == {("refused", "bad_name")}
    assert recorded.calls() == []
