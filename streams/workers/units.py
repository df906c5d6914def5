"""Actions on services that another manager runs: systemd units, containers, deployments of Kubernetes.

The manager is asked by its own program. A service of type hybrid is a unit around a container: the unit starts, stops
and restarts it, the container gets the signals.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from streams.core.inventory import ServiceSpec
from streams.workers import checkpoints, process, tools
from streams.workers.orders import Order
from streams.workers.results import Result, Surroundings

GRACE_SECONDS: Final = 10
REPLICAS_MAX: Final = 1_000
NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}")
KEPT: Final = "logmend/replicas"
"""The annotation of a deployment that says how many replicas it had when it was stopped."""
CALLS_MAX: Final = 3
"""An action on a deployment makes so many calls at most; each has its share of the time."""
SYSTEMCTL: Final = ("systemctl", "--no-ask-password", "--no-pager")


def start(order: Order, around: Surroundings) -> Result:
    """Start the service; one that runs is left alone by its manager."""
    return (
        _scale_from_zero(order, around)
        if order.spec.type == "kubernetes"
        else _manage(order, around, "start", "started")
    )


def stop(order: Order, around: Surroundings) -> Result:
    """Stop the service; a deployment is told how many replicas it had, so that a start brings them all back."""
    return (
        _scale_to_zero(order, around) if order.spec.type == "kubernetes" else _manage(order, around, "stop", "stopped")
    )


def restart(order: Order, around: Surroundings) -> Result:
    """Restart the service, or all pods of the deployment one after the other."""
    if order.spec.type == "kubernetes":
        argv = (*kubectl(order.spec), "rollout", "restart", f"deployment/{order.spec.deployment}")
        return tools.run(argv, order.timeout_ms, around).result("restarted")
    return _manage(order, around, "restart", "restarted")


def reload(order: Order, around: Surroundings) -> Result:
    """Have the service read its configuration again: by the declared signal to its container, else by its unit."""
    if order.spec.type == "systemd" or not order.spec.reload_signal:  # an empty signal means KILL to docker
        return _manage(order, around, "reload", "reloaded")
    argv = ("docker", "kill", f"--signal={order.spec.reload_signal}", "--", order.spec.container)
    return tools.run(argv, order.timeout_ms, around).result("reloaded")


def kill_blocker(order: Order, around: Surroundings) -> Result:
    """Kill who holds the unit's port or lock files, then start it; systemd leaves one that runs alone."""
    cleared = process.clear_blockers(order, around)
    if not cleared.ok:
        return cleared
    return _manage(order, around, "start", "started").after(touched=cleared.effect == "once")


def rollback_config(order: Order, around: Surroundings) -> Result:
    """Put the configuration of the last good checkpoint back, then restart the service."""
    try:
        checkpoints.restore(order.spec, Path(around.checkpoints))
    except checkpoints.NoCheckpointError as error:
        return Result(ok=False, code="no_checkpoint", effect="none", detail=str(error))
    return _manage(order, around, "restart", "restarted").after(touched=True)


def rollback_version(order: Order, around: Surroundings) -> Result:
    """Go back to the deployment's revision before this one."""
    argv = (*kubectl(order.spec), "rollout", "undo", f"deployment/{order.spec.deployment}")
    return tools.run(argv, order.timeout_ms, around).result("rolled_back")


def scale_up(order: Order, around: Surroundings) -> Result:
    """Have one replica more."""
    return _scale_by(order, around, 1)


def scale_down(order: Order, around: Surroundings) -> Result:
    """Have one replica less, and at least one."""
    return _scale_by(order, around, -1)


def _manage(order: Order, around: Surroundings, verb: str, done: str) -> Result:
    spec = order.spec
    if spec.type == "docker":
        grace = () if verb == "start" else (f"--time={GRACE_SECONDS}",)
        return tools.run(("docker", verb, *grace, "--", spec.container), order.timeout_ms, around).result(done)
    return tools.run((*SYSTEMCTL, verb, "--", spec.unit), order.timeout_ms, around).result(done)


def kubectl(spec: ServiceSpec) -> tuple[str, ...]:
    """Return the beginning of a command line for the namespace of a deployment."""
    context = (f"--context={spec.context}",) if spec.context else ()
    return ("kubectl", *context, f"--namespace={spec.namespace}")


def _replicas(order: Order, around: Surroundings) -> tuple[int, int] | Result:
    """Return how many replicas are wanted now, and how many there were before a stop of ours (1 when not known).

    Or the result of not getting to know it.
    """
    name = f"deployment/{order.spec.deployment}"
    argv = (
        *kubectl(order.spec),
        "get",
        name,
        f"--output=jsonpath={{.spec.replicas}} {{.metadata.annotations.{KEPT}}}",
    )
    ran = tools.run(argv, order.timeout_ms // CALLS_MAX, around)
    if ran.code:
        return Result(ok=False, code=ran.code, effect="none", detail=ran.output)
    now, _, before = ran.output.partition(" ")
    if not NUMBER.fullmatch(now):
        return Result(ok=False, code="bad_answer", effect="none", detail=ran.output)
    known = NUMBER.fullmatch(before) and 1 <= int(before) <= REPLICAS_MAX
    return int(now), int(before) if known else 1


def _scale_by(order: Order, around: Surroundings, step: int) -> Result:
    found = _replicas(order, around)
    if isinstance(found, Result):
        return found
    wanted = found[0] + step
    if not 1 <= wanted <= REPLICAS_MAX:
        return Result(ok=False, code="at_limit", effect="none", detail=f"{found[0]} replicas")
    return _scale(order, around, wanted, "scaled")


def _scale_from_zero(order: Order, around: Surroundings) -> Result:
    found = _replicas(order, around)
    if isinstance(found, Result):
        return found
    now, before = found
    return Result(ok=True, code="already_running", effect="none") if now else _scale(order, around, before, "started")


def _scale_to_zero(order: Order, around: Surroundings) -> Result:
    found = _replicas(order, around)
    if isinstance(found, Result):
        return found
    if not found[0]:
        return Result(ok=True, code="not_running", effect="none")
    noted = f"{KEPT}={found[0]}"
    argv = (*kubectl(order.spec), "annotate", "--overwrite", f"deployment/{order.spec.deployment}", noted)
    ran = tools.run(argv, order.timeout_ms // CALLS_MAX, around)
    if ran.code:
        return Result(ok=False, code=ran.code, effect="none", detail=ran.output)
    return _scale(order, around, 0, "stopped")


def _scale(order: Order, around: Surroundings, replicas: int, done: str) -> Result:
    argv = (*kubectl(order.spec), "scale", f"--replicas={replicas}", f"deployment/{order.spec.deployment}")
    return tools.run(argv, order.timeout_ms // CALLS_MAX, around).result(done)
