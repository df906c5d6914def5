"""How the processes fare: lag, batches, snapshots, the event log, starts and ends, what was met and handled."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from prometheus_client import Counter, Gauge, Histogram

from streams.core.errors import InputError
from streams.telemetry.registry import REGISTRY, SECONDS, bounded
from streams.telemetry.saying import LOG, say

_archived = Counter("logmend_archived_records", "Records written to segments.", ["topic"], registry=REGISTRY)
_restarts = Counter("logmend_restarts", "Processes that the supervisor started again.", ["role"], registry=REGISTRY)
_watchdog = Counter("logmend_watchdog", "Stalls that ended a process.", ["stage"], registry=REGISTRY)
_errors = Counter("logmend_errors", "Failures of ours that were met and handled.", ["where"], registry=REGISTRY)
_lag = Gauge("logmend_lag_records", "Records not yet worked on.", ["topic", "partition"], registry=REGISTRY)
_position = Gauge("logmend_position", "Next offset to work on.", ["topic", "partition"], registry=REGISTRY)
_broker_up = Gauge("logmend_broker_up", "1 while the embedded broker serves.", registry=REGISTRY)
_batch_seconds = Histogram(
    "logmend_batch_seconds", "One batch, read to durable.", ["stage"], buckets=SECONDS, registry=REGISTRY
)
_batch_records = Histogram(
    "logmend_batch_records",
    "Records of one batch.",
    ["stage"],
    buckets=(1, 10, 100, 1000, 4000, 10000),
    registry=REGISTRY,
)
_snapshot_seconds = Histogram(
    "logmend_snapshot_seconds", "Saving one snapshot.", ["store"], buckets=SECONDS, registry=REGISTRY
)
_snapshot_bytes = Gauge("logmend_snapshot_bytes", "Size of the last snapshot.", ["store"], registry=REGISTRY)
_tasks = Gauge("logmend_tasks", "Tasks of the process's event loop that have not ended.", registry=REGISTRY)
_data_used = Gauge("logmend_data_used_bytes", "What the data directory takes.", registry=REGISTRY)
_data_budget = Gauge("logmend_data_budget_bytes", "What it may take; 0 while it is not limited.", registry=REGISTRY)


def lag(topic: str, partition: int, records: int, position: int) -> None:
    """Set how many records lie after ``position``, the next offset to work on."""
    labels = (bounded("source", topic), str(partition))
    _lag.labels(*labels).set(records)
    _position.labels(*labels).set(position)


def let_go(topic: str, partition: int) -> None:
    """Say nothing more of a partition that is another process's now: what was last known of it is not true any more."""
    for gauge in (_lag, _position):
        with contextlib.suppress(KeyError):  # it was never measured
            gauge.remove(bounded("source", topic), str(partition))


def batch_done(stage: str, records: int, seconds: float) -> None:
    """Observe a batch of a stage, from read to durable."""
    _batch_seconds.labels(stage).observe(seconds)
    _batch_records.labels(stage).observe(records)


def loop_runs(loop: asyncio.AbstractEventLoop) -> None:
    """Count the tasks of this loop, the only one of the process, whenever somebody asks for the metrics."""
    _tasks.set_function(lambda: len(asyncio.all_tasks(loop)))


def snapshot_saved(store: str, size_bytes: int, seconds: float) -> None:
    """Observe a snapshot that is durable: ``store`` is file or topic."""
    _snapshot_seconds.labels(store).observe(seconds)
    _snapshot_bytes.labels(store).set(size_bytes)


def snapshot_damaged(store: str, which: str, problem: str) -> None:
    """Warn that a snapshot is left out."""
    say(logging.WARNING, "snapshot_damaged", store=store, which=which, problem=problem)


def data_measured(used_bytes: int, budget_bytes: int) -> None:
    """Show what the data directory takes, and may take at most before text goes early."""
    _data_used.set(used_bytes)
    _data_budget.set(budget_bytes)


def archived(topic: str, records: int) -> None:
    """Count records that are durable in a segment of the event log."""
    _archived.labels(bounded("source", topic)).inc(records)


def process_started(role: str, **where: object) -> None:
    """Say that a process is ready; ``where`` are addresses and versions."""
    say(logging.INFO, "process_started", role=role, **where)


def process_stopped(role: str, reason: str) -> None:
    """Say that a process ends in order."""
    say(logging.INFO, "process_stopped", role=role, reason=reason)


def process_failed(role: str, error: BaseException) -> None:
    """Say that a process ends because of ``error``: with its traceback, unless it is what a person can put right."""
    info = None if isinstance(error, InputError) else (type(error), error, error.__traceback__)
    LOG.error("process_failed", exc_info=info, extra={"fields": {"role": role, "error": f"{error}"}})


def partitions_taken(stage: str, positions: dict[str, int], term: int = 0) -> None:
    """Say which partitions a stage took and from where; keys are ``topic/partition``."""
    say(logging.INFO, "partitions_taken", stage=stage, term=term, positions=positions)


def handled(where: str, problem: str) -> None:
    """Say that something failed, was met and is tried again or left out; ``where`` is a word of the code's own."""
    _errors.labels(bounded("where", where)).inc()
    say(logging.WARNING, "handled", where=where, problem=problem[:500])


def watchdog_fired(stage: str, topic: str, partition: int, idle_seconds: float) -> None:
    """Alarm: a stage has lag and made no progress; the process ends and the supervisor starts it again."""
    _watchdog.labels(stage).inc()
    say(logging.ERROR, "watchdog_fired", stage=stage, topic=topic, partition=partition, idle_seconds=idle_seconds)


def lease_lost(stage: str, stale_seconds: float) -> None:
    """Alarm: this process slept past its lease and ends before it writes."""
    say(logging.ERROR, "lease_lost", stage=stage, stale_seconds=stale_seconds)


def child_restarted(role: str, status: int, delay_seconds: float) -> None:
    """Say that the supervisor starts a dead process again after a delay."""
    _restarts.labels(role).inc()
    say(logging.WARNING, "child_restarted", role=role, status=status, delay_seconds=delay_seconds)


def broker_up(address: str, seconds: float) -> None:
    """Say that the embedded broker serves."""
    _broker_up.set(1)
    say(logging.INFO, "broker_up", address=address, seconds=seconds)


def broker_down(reason: str, *, expected: bool) -> None:
    """Say that the embedded broker has ended, as it was told to or by itself."""
    _broker_up.set(0)
    say(logging.INFO if expected else logging.ERROR, "broker_down", reason=reason)
