"""An edge that only keeps the world as one value: the fake of the actions' contract suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from streams.core.config import Inventory
from streams.core.events import Command
from streams.core.inventory import ServiceSpec
from streams.workers.checks import Moment, check
from streams.workers.orders import Order, RefusedError, order_of
from tests.contract.actions_cases import ACTIONS, VALUES, End, World, case_of
from tests.workers.kit import now_ms

Moved = tuple[World, str]
"""The world afterwards and the code of the result. Equal worlds: no effect."""


def moment_of(spec: ServiceSpec) -> Moment:
    """Return a moment in which nothing stands against an action on a service."""
    inventory = Inventory(services=(spec,))
    return Moment(host=spec.host, clock_ms=now_ms(), skew_ms=0, epoch=1, own_epoch=1, halted_by="", inventory=inventory)


class Fake:
    """Keeps a world in memory and records the orders that reach it; all checks before it are the real ones."""

    def __init__(self, spec: ServiceSpec, before: World) -> None:
        self.spec = spec
        self.orders: list[Order] = []
        self._world = before
        self._ends: dict[str, End] = {}

    def world(self) -> World:
        """Return it."""
        return self._world

    def deliver(self, command: Command) -> End:
        """Carry out a command that is new."""
        if command.id not in self._ends:
            self._ends[command.id] = self.run(command)
        return self._ends[command.id]

    def run(self, command: Command, *, dry_run: bool = False) -> End:
        """Check as a pool does, then change the world as the model says."""
        try:
            check(command, moment_of(self.spec))
            order = order_of(command)
        except RefusedError as error:
            return End("refused", ok=False, code=error.code, effect="none")
        if dry_run:
            return End("refused", ok=False, code="dry_run", effect="none")
        known = any(done.command_id == order.command_id for done in self.orders)
        self.orders.append(order)
        if known and order.action.id in MARKED:
            return End("done", ok=True, code="already_done", effect="once")
        model = MODEL.get(order.action.id) or MODEL[order.action.verb]
        now, (self._world, code) = self._world, model(self._world)
        return End("done", ok=code not in FAILED, code=code, effect="once" if self._world != now else "none")


def _start(now: World) -> Moved:
    return (now, "already_running") if now.running else (replace(now, running=True, begun=now.begun + 1), "started")


def _stop(now: World) -> Moved:
    return (replace(now, running=False), "stopped") if now.running else (now, "not_running")


def _stop_by_manager(now: World) -> Moved:
    return replace(now, running=False), "stopped"


def _restart(now: World) -> Moved:
    return replace(now, running=True, begun=now.begun + 1), "restarted"


def _restart_process(now: World) -> Moved:
    return replace(now, running=True, begun=now.begun + 1), "started"


def _start_unit(now: World) -> Moved:
    return _start(now)[0], "started"


def _start_deployment(now: World) -> Moved:
    if now.replicas:
        return now, "already_running"
    return replace(now, replicas=max(now.noted, 1), running=True, begun=now.begun + 1), "started"


def _stop_deployment(now: World) -> Moved:
    if not now.replicas:
        return now, "not_running"
    return replace(now, replicas=0, noted=now.replicas, running=False), "stopped"


def _kill_blocker(now: World) -> Moved:
    return _start_unit(replace(now, blocked=False))


def _rollback_config(now: World) -> Moved:
    return replace(_restart(now)[0], config="good"), "restarted"


def _rollback_config_of_process(now: World) -> Moved:
    return replace(_restart(now)[0], config="good"), "started"


def _scaled(step: int) -> Callable[[World], Moved]:
    return lambda now: (replace(now, replicas=now.replicas + step), "scaled")


def _switched(value: str) -> Callable[[World], Moved]:
    return lambda now: (replace(now, switch=value), "switched" if value != now.switch else "unchanged")


def _stepped(step: int) -> Callable[[World], Moved]:
    return lambda now: (replace(now, switch=str(int(now.switch) + step)), "switched")


def _rotate(now: World) -> Moved:
    return (replace(now, log="", older=now.log), "rotated") if now.log else (now, "nothing_to_rotate")


def _checkpoint(now: World) -> Moved:
    if not now.config:
        return now, "not_taken"
    return (now, "unchanged") if now.kept else (replace(now, kept=1), "taken")


def _job(now: World) -> Moved:
    return replace(now, jobs=now.jobs + 1), "done"


NORMAL, OTHER = VALUES["traffic"]
FAILED = frozenset({"500", "not_taken"})
MARKED = frozenset(
    {
        *("process.start", "process.restart", "process.rollback_config"),
        *(action for action in ACTIONS if case_of(action).switch),
    }
)
"""Actions that leave a mark of their command where they act."""
MODEL: Mapping[str, Callable[[World], Moved]] = {
    "process.start": _start,
    "process.stop": _stop,
    "process.restart": _restart_process,
    "process.rollback_config": _rollback_config_of_process,
    "kubernetes.start": _start_deployment,
    "kubernetes.stop": _stop_deployment,
    "kubernetes.scale_up": _scaled(1),
    "kubernetes.scale_down": _scaled(-1),
    "start": _start_unit,
    "stop": _stop_by_manager,
    "restart": _restart,
    "reload": lambda now: (replace(now, reloaded=now.reloaded + 1), "reloaded"),
    "kill_blocker": _kill_blocker,
    "rollback_config": _rollback_config,
    "rollback_version": lambda now: (replace(now, revision=3 - now.revision), "rolled_back"),
    **dict.fromkeys(("isolate", "fallback", "degrade"), _switched(OTHER)),
    **dict.fromkeys(("rejoin", "restore_upstream", "restore_features"), _switched(NORMAL)),
    "scale_up": _stepped(1),
    "scale_down": _stepped(-1),
    "clear_caches": lambda now: (replace(now, caches=0), "cleared" if now.caches else "empty"),
    "rotate_log": _rotate,
    **dict.fromkeys(("renew_certificate", "end_idle_sessions"), _job),
    "checkpoint": _checkpoint,
    "verify": lambda now: (now, "green" if now.healthy else "500"),
    **dict.fromkeys(("look", "survey"), lambda now: (now, "looked")),
    "propose": lambda now: (now, "proposed"),
    "probe": lambda now: (now, "200" if now.healthy else "500"),
    "call": lambda now: (replace(now, requests=now.requests + 1), "200"),
}
"""Action or verb to what it does to the world."""
