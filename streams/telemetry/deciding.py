"""What is decided: facts, decisions, commands, incidents, and what stops the fold."""

from __future__ import annotations

import logging
import time

from prometheus_client import Counter, Gauge, Histogram

from streams.telemetry.registry import REGISTRY, SECONDS
from streams.telemetry.saying import LOG, say

_facts = Counter("logmend_facts", "Facts taken by the fold.", ["kind"], registry=REGISTRY)
_decisions = Counter("logmend_decisions", "Decisions appended.", ["kind"], registry=REGISTRY)
_commands = Counter("logmend_commands", "Commands sent.", ["strategy"], registry=REGISTRY)
_zombies = Counter("logmend_zombie_facts", "Facts dropped by the readers' rule.", ["verdict"], registry=REGISTRY)
_halted = Gauge("logmend_action_halted", "1 while the kill switch is on.", registry=REGISTRY)
_incidents = Gauge("logmend_incidents_open", "Incidents that are open.", registry=REGISTRY)
_waiting = Gauge(
    "logmend_waiting_for_people", "What people are to answer, and nobody has.", ["what"], registry=REGISTRY
)
_fold_lag = Gauge("logmend_fold_lag_seconds", "Age of the last fact when it was folded.", registry=REGISTRY)
_fact_to_command = Histogram(
    "logmend_fact_to_command_seconds",
    "Fact appended to its command's decision durable.",
    buckets=SECONDS,
    registry=REGISTRY,
)
_heal_seconds = Histogram("logmend_heal_seconds", "Incident opened to verified.", buckets=SECONDS, registry=REGISTRY)


def fact_taken(kind: str, count: int = 1) -> None:
    """Count facts that the fold took; ``kind`` is the struct's name."""
    _facts.labels(kind).inc(count)


def fact_dropped(verdict: str) -> None:
    """Count a fact that the readers' rule dropped: ``zombie`` or ``repeated``."""
    _zombies.labels(verdict).inc()


def fact_rejected(offset: int, error: BaseException) -> None:
    """Alarm: the fold failed on a fact; action is halted."""
    info = (type(error), error, error.__traceback__)
    LOG.error("fact_rejected", exc_info=info, extra={"fields": {"offset": offset, "error": f"{error}"}})


def decided(kind: str, count: int = 1) -> None:
    """Count decisions that are durable, by their kind."""
    _decisions.labels(kind).inc(count)


def command_sent(strategy: str) -> None:
    """Count a command that is durable."""
    _commands.labels(strategy).inc()


def commanded(append_ms: int) -> None:
    """Observe the time from a fact's append (the broker's clock, ms) to now, when its command's decision is durable.

    Where this host's clock is behind the broker's, it counts as 0.
    """
    _fact_to_command.observe(max(0.0, time.time() - append_ms / 1_000))


def healed(seconds: float) -> None:
    """Observe the time from an incident's opening to its verification."""
    _heal_seconds.observe(seconds)


def incidents_open(count: int) -> None:
    """Set how many incidents are open."""
    _incidents.set(count)


def action_halted(*, halted: bool) -> None:
    """Set whether the kill switch is on."""
    _halted.set(halted)


def people_waited_for(what: str, count: int) -> None:
    """Set how many answers are waited for: ``what`` is approval or escalation."""
    _waiting.labels(what).set(count)


def folded(append_ms: int) -> None:
    """Set how old a batch's last fact (appended at this time of the broker's clock, ms) is, now that it is folded."""
    _fold_lag.set(max(0.0, time.time() - append_ms / 1_000))


def log_broken(reader: str, problem: str) -> None:
    """Alarm: a reader found a hole, a fork or a damaged record, and stops."""
    say(logging.ERROR, "log_broken", reader=reader, problem=problem)
