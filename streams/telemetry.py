"""Everything Logmend says about itself: metrics and log events, one typed function for each thing that can happen.

Nowhere else is a metric made or a log line written. Metrics live in ``REGISTRY`` under ``logmend_``, in base units
(seconds, bytes), and no label holds text of a log line; a label whose values come from outside takes at most
``LABEL_VALUES_MAX`` of them, the rest count as ``other``. Log events are one JSON object a line on stderr, at most
``EVENTS_PER_SECOND_MAX`` of one kind a second; what is dropped is counted in the next one as ``dropped``.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from streams.core.errors import InputError

LABEL_VALUES_MAX: Final = 64
EVENTS_PER_SECOND_MAX: Final = 5
CHATTY_LOGGERS: Final = ("aiokafka", "faust", "mode", "asyncio", "kafka")
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

REGISTRY: Final = CollectorRegistry()

_lines = Counter("logmend_lines", "Log lines read.", ["source"], registry=REGISTRY)
_line_bytes = Counter("logmend_lines_bytes", "Bytes of records read.", ["source"], registry=REGISTRY)
_points = Counter("logmend_points", "Data points of metrics read.", ["source"], registry=REGISTRY)
_unmapped = Counter("logmend_points_unmapped", "Data points that are no health metric.", ["source"], registry=REGISTRY)
_lines_lost = Counter("logmend_lines_lost", "Offsets that retention deleted unread.", ["source"], registry=REGISTRY)
_slices = Counter("logmend_slices", "Slices appended.", ["source"], registry=REGISTRY)
_rejects = Counter("logmend_rejects", "Records and lines no decoder took.", ["source", "reason"], registry=REGISTRY)
_detections = Counter("logmend_detections", "Lines detected.", ["category", "severity"], registry=REGISTRY)
_facts = Counter("logmend_facts", "Facts taken by the fold.", ["kind"], registry=REGISTRY)
_decisions = Counter("logmend_decisions", "Decisions appended.", ["kind"], registry=REGISTRY)
_commands = Counter("logmend_commands", "Commands sent.", ["strategy"], registry=REGISTRY)
_outcomes = Counter("logmend_outcomes", "Ends of commands.", ["status", "ok"], registry=REGISTRY)
_probes = Counter("logmend_probes", "Probes made.", ["kind", "ok"], registry=REGISTRY)
_archived = Counter("logmend_archived_records", "Records written to segments.", ["topic"], registry=REGISTRY)
_restarts = Counter("logmend_restarts", "Processes that the supervisor started again.", ["role"], registry=REGISTRY)
_watchdog = Counter("logmend_watchdog", "Stalls that ended a process.", ["stage"], registry=REGISTRY)
_zombies = Counter("logmend_zombie_facts", "Facts dropped by the readers' rule.", ["verdict"], registry=REGISTRY)
_schemas = Counter("logmend_schemas", "Answers of the schema registry.", ["outcome"], registry=REGISTRY)
_opinions = Counter(
    "logmend_opinions", "Opinions given, abstentions included.", ["advisor", "source", "code"], registry=REGISTRY
)
_answers = Counter("logmend_answers", "Answers of the decision service.", ["decision", "source"], registry=REGISTRY)
_model_requests = Counter(
    "logmend_model_requests", "Requests to a model, by how they ended.", ["provider", "code"], registry=REGISTRY
)
_model_cost = Counter(
    "logmend_model_cost_usd", "Dollars that models cost, or may have cost.", ["provider"], registry=REGISTRY
)
_notices = Counter(
    "logmend_notices", "Attempts to tell people, by how they ended.", ["channel", "outcome"], registry=REGISTRY
)
_errors = Counter("logmend_errors", "Failures of ours that were met and handled.", ["where"], registry=REGISTRY)

_lag = Gauge("logmend_lag_records", "Records not yet worked on.", ["topic", "partition"], registry=REGISTRY)
_position = Gauge("logmend_position", "Next offset to work on.", ["topic", "partition"], registry=REGISTRY)
_broker_up = Gauge("logmend_broker_up", "1 while the embedded broker serves.", registry=REGISTRY)
_halted = Gauge("logmend_action_halted", "1 while the kill switch is on.", registry=REGISTRY)
_incidents = Gauge("logmend_incidents_open", "Incidents that are open.", registry=REGISTRY)
_notices_waiting = Gauge(
    "logmend_notices_waiting", "Messages that wait to be delivered.", ["channel"], registry=REGISTRY
)
_in_flight = Gauge("logmend_actions_in_flight", "Actions that run now.", registry=REGISTRY)

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
_fact_to_command = Histogram(
    "logmend_fact_to_command_seconds",
    "Fact appended to its command's decision durable.",
    buckets=SECONDS,
    registry=REGISTRY,
)
_opinion_seconds = Histogram(
    "logmend_opinion_seconds", "An advisor asked to its opinion.", ["source"], buckets=SECONDS, registry=REGISTRY
)
_heal_seconds = Histogram("logmend_heal_seconds", "Incident opened to verified.", buckets=SECONDS, registry=REGISTRY)


class _Bounded:
    """Lets the first ``LABEL_VALUES_MAX`` values of a label through and calls the others ``other``."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}

    def __call__(self, label: str, value: str) -> str:
        seen = self._seen.setdefault(label, set())
        if value in seen:
            return value
        if len(seen) >= LABEL_VALUES_MAX:
            return "other"
        seen.add(value)
        return value


_bounded = _Bounded()


# ---------------------------------------------------------------------------------------------------------- metrics


def lines_read(source: str, lines: int, size_bytes: int = 0) -> None:
    """Count ``lines`` lines of records of ``size_bytes`` together, read from a source topic."""
    topic = _bounded("source", source)
    _lines.labels(topic).inc(lines)
    _line_bytes.labels(topic).inc(size_bytes)


def schema_answered(outcome: str) -> None:
    """Count what a question to the schema registry came to: ``found``, ``unknown``, ``refused``, ``unreachable``."""
    _schemas.labels(outcome).inc()


def points_read(source: str, points: int, unmapped: int) -> None:
    """Count ``points`` data points of metrics, of which ``unmapped`` map to none of the twelve."""
    topic = _bounded("source", source)
    _points.labels(topic).inc(points)
    _unmapped.labels(topic).inc(unmapped)


def slice_appended(source: str) -> None:
    """Count a slice that is durable."""
    _slices.labels(_bounded("source", source)).inc()


def rejected(source: str, reason: str, count: int = 1) -> None:
    """Count records or lines that no decoder took; ``reason`` is a word of a fixed list, never text."""
    _rejects.labels(_bounded("source", source), _bounded("reason", reason)).inc(count)


def detected(category: str, severity: str, count: int = 1) -> None:
    """Count detected lines."""
    _detections.labels(_bounded("category", category), severity).inc(count)


def fact_taken(kind: str, count: int = 1) -> None:
    """Count facts that the fold took; ``kind`` is the struct's name."""
    _facts.labels(kind).inc(count)


def fact_dropped(verdict: str) -> None:
    """Count a fact that the readers' rule dropped: ``zombie`` or ``repeated``."""
    _zombies.labels(verdict).inc()


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


def outcome_reported(status: str, *, ok: bool) -> None:
    """Count the end of a command."""
    _outcomes.labels(status, str(ok).lower()).inc()


def probe_made(kind: str, *, ok: bool) -> None:
    """Count a probe of a service or of a host, by its kind."""
    _probes.labels(kind, str(ok).lower()).inc()


def opinion_given(advisor: str, source: str, code: str, seconds: float) -> None:
    """Count an advisor's opinion: ``source`` and ``code`` are those of ``core.advice``; it took so many seconds."""
    _opinions.labels(advisor, source, code).inc()
    _opinion_seconds.labels(source).observe(seconds)


def model_asked(provider: str, code: str, cost_microusd: int) -> None:
    """Count a request to a model: ``code`` is "" for an answer; the cost is in millionths of a dollar."""
    _model_requests.labels(provider, code).inc()
    _model_cost.labels(provider).inc(cost_microusd / 1_000_000)


def answered(decision: str, source: str) -> None:
    """Count an answer of the decision service; ``source``: model, rules or cache."""
    _answers.labels(decision, source).inc()


def notice_sent(channel: str, outcome: str) -> None:
    """Count an attempt to tell people: ``channel`` is mail, webhook or github, ``outcome`` told or failed."""
    _notices.labels(channel, outcome).inc()


def notices_waiting(channel: str, count: int) -> None:
    """Set how many messages wait for receivers of a kind."""
    _notices_waiting.labels(channel).set(count)


def healed(seconds: float) -> None:
    """Observe the time from an incident's opening to its verification."""
    _heal_seconds.observe(seconds)


def lag(topic: str, partition: int, records: int, position: int) -> None:
    """Set how many records lie after ``position``, the next offset to work on."""
    labels = (_bounded("source", topic), str(partition))
    _lag.labels(*labels).set(records)
    _position.labels(*labels).set(position)


def batch_done(stage: str, records: int, seconds: float) -> None:
    """Observe a batch of a stage, from read to durable."""
    _batch_seconds.labels(stage).observe(seconds)
    _batch_records.labels(stage).observe(records)


def snapshot_saved(store: str, size_bytes: int, seconds: float) -> None:
    """Observe a snapshot that is durable: ``store`` is file or topic."""
    _snapshot_seconds.labels(store).observe(seconds)
    _snapshot_bytes.labels(store).set(size_bytes)


def archived(topic: str, records: int) -> None:
    """Count records that are durable in a segment of the event log."""
    _archived.labels(_bounded("source", topic)).inc(records)


def incidents_open(count: int) -> None:
    """Set how many incidents are open."""
    _incidents.set(count)


def action_halted(*, halted: bool) -> None:
    """Set whether the kill switch is on."""
    _halted.set(halted)


def actions_running(count: int) -> None:
    """Set how many actions of this pool run now."""
    _in_flight.set(count)


# -------------------------------------------------------------------------------------------------------- log events


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event, and the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None)
        entry: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage() if fields is not None else "library",
        }
        entry.update(fields or {"logger": record.name, "text": record.getMessage()[:500]})
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class _RateLimit(logging.Filter):
    """Passes ``EVENTS_PER_SECOND_MAX`` records a second of one logger or event; a dead broker makes 200 lines/s."""

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        fields: dict[str, object] | None = getattr(record, "fields", None)
        key = record.name if fields is None else str(record.msg)
        second, count = self._windows.get(key, (int(record.created), 0))
        if int(record.created) == second:
            self._windows[key] = (second, count + 1)
            return count < EVENTS_PER_SECOND_MAX
        if fields is not None and count > EVENTS_PER_SECOND_MAX:
            fields["dropped"] = count - EVENTS_PER_SECOND_MAX
        self._windows[key] = (int(record.created), 1)
        return True


_log: Final = logging.getLogger("logmend")


def configure_logging(level: int = logging.INFO) -> None:
    """Send log events to stderr as JSON lines and quiet the libraries; call it again after Faust's start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    handler.addFilter(_RateLimit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _log.setLevel(level)
    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    threading.excepthook = _thread_failed


def _thread_failed(args: threading.ExceptHookArgs) -> None:
    """Say that a thread of a library ended by an exception, as one line of JSON like everything else."""
    info = (args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback)
    name = args.thread.name if args.thread else ""
    _log.error("thread_failed", exc_info=info, extra={"fields": {"thread": name, "error": f"{args.exc_value}"}})


def _say(level: int, event: str, **fields: object) -> None:
    _log.log(level, event, extra={"fields": fields})


def process_started(role: str, **where: object) -> None:
    """Say that a process is ready; ``where`` are addresses and versions."""
    _say(logging.INFO, "process_started", role=role, **where)


def process_stopped(role: str, reason: str) -> None:
    """Say that a process ends in order."""
    _say(logging.INFO, "process_stopped", role=role, reason=reason)


def process_failed(role: str, error: BaseException) -> None:
    """Say that a process ends because of ``error``: with its traceback, unless it is what a person can put right."""
    info = None if isinstance(error, InputError) else (type(error), error, error.__traceback__)
    _log.error("process_failed", exc_info=info, extra={"fields": {"role": role, "error": f"{error}"}})


def partitions_taken(stage: str, positions: dict[str, int], term: int = 0) -> None:
    """Say which partitions a stage took and from where; keys are ``topic/partition``."""
    _say(logging.INFO, "partitions_taken", stage=stage, term=term, positions=positions)


def lines_lost(source: str, partition: int, from_offset: int, to_offset: int) -> None:
    """Alarm: retention deleted offsets that nobody had read."""
    _lines_lost.labels(_bounded("source", source)).inc(to_offset - from_offset)
    _say(logging.ERROR, "lines_lost", source=source, partition=partition, from_offset=from_offset, to_offset=to_offset)


def fact_rejected(offset: int, error: BaseException) -> None:
    """Alarm: the fold failed on a fact; action is halted."""
    info = (type(error), error, error.__traceback__)
    _log.error("fact_rejected", exc_info=info, extra={"fields": {"offset": offset, "error": f"{error}"}})


def log_broken(reader: str, problem: str) -> None:
    """Alarm: a reader found a hole, a fork or a damaged record, and stops."""
    _say(logging.ERROR, "log_broken", reader=reader, problem=problem)


def handled(where: str, problem: str) -> None:
    """Say that something failed, was met and is tried again or left out; ``where`` is a word of the code's own."""
    _errors.labels(_bounded("where", where)).inc()
    _say(logging.WARNING, "handled", where=where, problem=problem[:500])


def permissions_found(host: str, permits: list[str]) -> None:
    """Say what this process may do to the services of its host, an entry for each thing."""
    _say(logging.INFO, "permissions_found", host=host, permits=permits)


def registry_down(address: str, problem: str, seconds: float) -> None:
    """Warn that the schema registry gave no answer: for so long its records become dead letters without a question."""
    _say(logging.WARNING, "registry_down", address=address, problem=problem, seconds=seconds)


def provider_left_alone(provider: str, why: str) -> None:
    """Say that a model's provider is down, or wants to be left alone."""
    _say(logging.WARNING, "provider_left_alone", provider=provider, why=why)


def notice_given_up(channel: str, message: str, tries: int, problem: str) -> None:
    """Alarm: a message could not be delivered and is not tried any more."""
    _notices.labels(channel, "given_up").inc()
    _say(logging.ERROR, "notice_given_up", channel=channel, message=message, tries=tries, problem=problem[:500])


def snapshot_damaged(store: str, which: str, problem: str) -> None:
    """Warn that a snapshot is left out."""
    _say(logging.WARNING, "snapshot_damaged", store=store, which=which, problem=problem)


def watchdog_fired(stage: str, topic: str, partition: int, idle_seconds: float) -> None:
    """Alarm: a stage has lag and made no progress; the process ends and the supervisor starts it again."""
    _watchdog.labels(stage).inc()
    _say(logging.ERROR, "watchdog_fired", stage=stage, topic=topic, partition=partition, idle_seconds=idle_seconds)


def lease_lost(stage: str, stale_seconds: float) -> None:
    """Alarm: this process slept past its lease and ends before it writes."""
    _say(logging.ERROR, "lease_lost", stage=stage, stale_seconds=stale_seconds)


def child_restarted(role: str, status: int, delay_seconds: float) -> None:
    """Say that the supervisor starts a dead process again after a delay."""
    _restarts.labels(role).inc()
    _say(logging.WARNING, "child_restarted", role=role, status=status, delay_seconds=delay_seconds)


def broker_up(address: str, seconds: float) -> None:
    """Say that the embedded broker serves."""
    _broker_up.set(1)
    _say(logging.INFO, "broker_up", address=address, seconds=seconds)


def broker_down(reason: str, *, expected: bool) -> None:
    """Say that the embedded broker has ended, as it was told to or by itself."""
    _broker_up.set(0)
    _say(logging.INFO if expected else logging.ERROR, "broker_down", reason=reason)


def command_refused(command_id: str, reason: str) -> None:
    """Say that the pool refused a command, with a word for the reason."""
    _say(logging.WARNING, "command_refused", command=command_id, reason=reason)


def action_logged(command_id: str, action: str, service: str) -> None:
    """Say what would be done: this process runs dry."""
    _say(logging.INFO, "action_logged", command=command_id, action=action, service=service)


def serve(port: int, address: str = "127.0.0.1") -> None:
    """Serve the metrics over HTTP on ``port`` (0: not at all). Raises ``InputError`` when the port is taken."""
    if not port:
        return
    try:
        start_http_server(port, addr=address, registry=REGISTRY)
    except OSError as error:
        raise InputError(f"metrics port {port}: {error.strerror}; set LOGMEND_METRICS_PORT to a free one") from error
