"""A case for each action of the catalogue: what its service declares, the world before it, and what it changes.

The world is one value. The fake edge (``actions_fake``) keeps it, the real one (``actions_real``) tells it from
processes, files, programs and requests.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from streams.catalogue.actions import actions
from streams.core.events import Command
from streams.core.inventory import ProbeSpec, ServiceSpec, Switch
from tests.workers.kit import HOST


@dataclass(frozen=True)
class World:
    """One service and what is around it. Counts only grow: ``begun``, ``reloaded``, ``jobs``, ``requests``."""

    running: bool = False
    begun: int = 0
    reloaded: int = 0
    replicas: int = 0
    noted: int = 0
    """How many replicas the deployment had before it was stopped."""
    revision: int = 1
    switch: str = ""
    config: str = ""
    kept: int = 0
    """Checkpoints."""
    caches: int = 0
    log: str = ""
    older: str = ""
    jobs: int = 0
    requests: int = 0
    blocked: bool = False
    """Whether a stranger listens on the service's port."""
    healthy: bool = True

    def steady(self) -> World:
        """Return the world without what only counts: what can be had back."""
        return replace(self, begun=0, reloaded=0, jobs=0, requests=0, noted=0, kept=0)


class End(NamedTuple):
    """How a command ended."""

    status: str
    ok: bool
    code: str
    effect: str


class Edge(Protocol):
    """Where a command takes effect: a host of the suite's own with one service."""

    spec: ServiceSpec

    def run(self, command: Command, *, dry_run: bool = False) -> End:
        """Have a command carried out by a worker, whether it was before or not."""
        ...

    def deliver(self, command: Command) -> End:
        """Give a command to the host, which knows what it has done already."""
        ...

    def world(self) -> World:
        """Look."""
        ...


VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("traffic", "upstream", "feature"), ("normal", "other")),
    "replicas": ("1", "2", "3"),
}
"""Kind of switch to what it can be set to."""


@dataclass(frozen=True)
class Case:
    """What an action does to a service.

    ``before`` is the world in which it has something to do, ``changes`` the fields it has afterwards. ``switch`` is
    the kind of switch it moves, ``tool`` the job it does. ``back`` is the verb that brings the world back where the
    catalogue names no undo, but says that the action is reversible.
    """

    code: str
    before: World
    changes: Mapping[str, Any] = field(default_factory=dict)
    switch: str = ""
    tool: str = ""
    back: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def effect(self) -> str:
        """Whether the outside is touched."""
        return "once" if self.changes else "none"


UP: Final = World(running=True, begun=1)


def _moves(kind: str, before: str, after: str, back: str = "") -> Case:
    return Case(
        "switched",
        World(switch=before),
        {"switch": after},
        switch=kind,
        back=back,
        arguments={"switch": kind},
    )


def _job(name: str) -> Case:
    return Case("done", World(), {"jobs": 1}, tool=name)


CASES: Final[Mapping[str, Case]] = {
    "start": Case("started", World(), {"running": True, "begun": 1}),
    "stop": Case("stopped", UP, {"running": False}),
    "restart": Case("restarted", UP, {"begun": 2}),
    "process.restart": Case("started", UP, {"begun": 2}),
    "reload": Case("reloaded", UP, {"reloaded": 1}),
    "kill_blocker": Case("started", World(blocked=True), {"blocked": False, "running": True, "begun": 1}),
    "rollback_config": Case(
        "restarted", World(running=True, begun=1, config="bad", kept=1), {"config": "good", "begun": 2}
    ),
    "process.rollback_config": Case(
        "started", World(running=True, begun=1, config="bad", kept=1), {"config": "good", "begun": 2}
    ),
    "rollback_version": Case("rolled_back", World(revision=2), {"revision": 1}, back="rollback_version"),
    "isolate": _moves("traffic", "normal", "other"),
    "rejoin": _moves("traffic", "other", "normal", back="isolate"),
    "fallback": _moves("upstream", "normal", "other"),
    "restore_upstream": _moves("upstream", "other", "normal", back="fallback"),
    "degrade": _moves("feature", "normal", "other"),
    "restore_features": _moves("feature", "other", "normal", back="degrade"),
    "scale_up": _moves("replicas", "2", "3"),
    "scale_down": _moves("replicas", "2", "1"),
    "kubernetes.start": Case("started", World(noted=3), {"running": True, "begun": 1, "replicas": 3}),
    "kubernetes.stop": Case(
        "stopped", World(running=True, begun=1, replicas=3), {"running": False, "replicas": 0, "noted": 3}
    ),
    "kubernetes.scale_up": Case("scaled", World(running=True, begun=1, replicas=3), {"replicas": 4}),
    "kubernetes.scale_down": Case("scaled", World(running=True, begun=1, replicas=3), {"replicas": 2}),
    "clear_caches": Case("cleared", World(caches=2), {"caches": 0}),
    "rotate_log": Case("rotated", World(log="said\n"), {"log": "", "older": "said\n"}),
    "renew_certificate": _job("renew_certificate"),
    "end_idle_sessions": _job("end_idle_sessions"),
    "checkpoint": Case("taken", World(config="good"), {"kept": 1}),
    "verify": Case("green", World()),
    "look": Case("looked", UP, arguments={"topic": "process"}),
    "survey": Case("looked", World()),
    "propose": Case("proposed", World(config="bad", kept=1)),
    "probe": Case("200", World()),
    "call": Case("200", World(), {"requests": 1}, arguments={"call": "restart"}),
}
"""Verb, or action where it differs from the other types, to its case. A verb of the catalogue that is missing fails."""


ACTIONS: Final = tuple(action for action, row in actions().items() if action in CASES or row.verb in CASES)
"""The actions that have a case; the suite says which have none."""


def case_of(action: str) -> Case:
    """Return the case of an action; ``KeyError`` when it has none."""
    return CASES.get(action) or CASES[actions()[action].verb]


BARE: Final[Mapping[str, Mapping[str, Any]]] = {
    "process": {},
    "systemd": {"unit": "orders.service"},
    "docker": {"container": "orders_1"},
    "hybrid": {"unit": "orders-box", "container": "orders_1"},
    "kubernetes": {"namespace": "shop", "deployment": "orders", "context": "prod"},
    "http": {},
}
"""What a service of a type declares, whatever is done with it."""

SERVICE: Final = """
import os, signal, sys, time
def note(name):
    with open(sys.argv[1] + "/" + name, "a") as file:
        file.write("x")
signal.signal(signal.SIGHUP, lambda *_: note("reloaded"))
note("begun")
while True:
    time.sleep(60)
"""


def spec_of(action: str, root: Path, before: World, *, web: int, port: int = 0) -> ServiceSpec:
    """Return a service that declares what an action needs.

    ``web`` is the port of the HTTP server that stands for the service's own, ``port`` the one that a stranger holds.
    """
    row, case = actions()[action], case_of(action)
    fields: dict[str, Any] = {**BARE[row.service_type], "host": HOST, "mode": "auto", "type": row.service_type}
    health = "/" if before.healthy else "/fail"
    fields["probes"] = (ProbeSpec(kind="http", target=f"http://127.0.0.1:{web}{health}"),)
    if row.service_type == "process":
        fields["argv"] = (sys.executable, "-I", "-S", str(root / "service.py"), str(root))
        fields["cwd"], fields["pid_file"] = str(root), str(root / "orders.pid")
    if row.service_type == "http":
        fields["base_url"], fields["calls"] = f"http://127.0.0.1:{web}", {"restart": "POST /restart"}
    return ServiceSpec(name="orders", **fields, **_parts(row.verb, row.service_type, case, root, port))


def _parts(verb: str, service_type: str, case: Case, root: Path, port: int) -> dict[str, Any]:
    if case.tool:
        return {"tools": {case.tool: (sys.executable, "-I", "-S", str(root / "job.py"), str(root))}}
    if case.switch:
        switch = Switch(kind=case.switch, file=str(root / "switch"), values=VALUES[case.switch])
        return {"switches": {case.switch: switch}}
    files = {"config_files": (str(root / "orders.toml"),), "checkpoint_dir": str(root / "kept")}
    parts: dict[str, dict[str, Any]] = {
        "reload": {"reload_signal": "" if service_type == "systemd" else "HUP"},
        "kill_blocker": {"port": port or 1, "lock_files": (str(root / "orders.db"),)},
        "rollback_config": files,
        "checkpoint": files,
        "propose": files,
        "clear_caches": {"caches": (str(root / "cache"),)},
        "rotate_log": {"rotate_log": True, "log_file": str(root / "orders.log")},
    }
    return parts.get(verb, {})
