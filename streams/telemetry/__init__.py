"""Everything Logmend says about itself: metrics and log events, one typed function for each thing that can happen.

Nowhere else is a metric made or a log line written. Metrics live in ``REGISTRY`` under ``logmend_``, in base units
(seconds, bytes), and no label holds text of a log line; a label whose values come from outside takes at most
``LABEL_VALUES_MAX`` of them, the rest count as ``other``. Log events are one JSON object a line on stderr, at most
``EVENTS_PER_SECOND_MAX`` of one kind a second; what is dropped is counted in the next one as ``dropped``.
"""

from __future__ import annotations

from streams.telemetry.acting import (
    action_logged,
    actions_running,
    command_refused,
    outcome_reported,
    permissions_found,
    probe_made,
)
from streams.telemetry.asking import answered, model_asked, opinion_given, provider_left_alone
from streams.telemetry.canary import canary_decided, canary_heard, canary_sent
from streams.telemetry.deciding import (
    action_halted,
    command_sent,
    commanded,
    decided,
    fact_dropped,
    fact_rejected,
    fact_taken,
    folded,
    healed,
    incidents_open,
    log_broken,
    people_waited_for,
)
from streams.telemetry.foretelling import failure_foretold, prediction_known
from streams.telemetry.reading import (
    detected,
    lines_lost,
    lines_read,
    points_read,
    registry_down,
    rejected,
    schema_answered,
    shed,
    shedding,
    slice_appended,
)
from streams.telemetry.registry import LABEL_VALUES_MAX, REGISTRY, serve
from streams.telemetry.running import (
    archived,
    batch_done,
    broker_down,
    broker_up,
    child_restarted,
    data_measured,
    handled,
    lag,
    lease_lost,
    let_go,
    loop_runs,
    partitions_taken,
    process_failed,
    process_started,
    process_stopped,
    snapshot_damaged,
    snapshot_saved,
    watchdog_fired,
)
from streams.telemetry.saying import EVENTS_PER_SECOND_MAX, configure_logging
from streams.telemetry.serving import web_answered
from streams.telemetry.shadowing import shadow_compared, shadow_parted
from streams.telemetry.telling import notice_given_up, notice_sent, notices_waiting

__all__ = [
    "EVENTS_PER_SECOND_MAX",
    "LABEL_VALUES_MAX",
    "REGISTRY",
    "action_halted",
    "action_logged",
    "actions_running",
    "answered",
    "archived",
    "batch_done",
    "broker_down",
    "broker_up",
    "canary_decided",
    "canary_heard",
    "canary_sent",
    "child_restarted",
    "command_refused",
    "command_sent",
    "commanded",
    "configure_logging",
    "data_measured",
    "decided",
    "detected",
    "fact_dropped",
    "fact_rejected",
    "fact_taken",
    "failure_foretold",
    "folded",
    "handled",
    "healed",
    "incidents_open",
    "lag",
    "lease_lost",
    "let_go",
    "lines_lost",
    "lines_read",
    "log_broken",
    "loop_runs",
    "model_asked",
    "notice_given_up",
    "notice_sent",
    "notices_waiting",
    "opinion_given",
    "outcome_reported",
    "partitions_taken",
    "people_waited_for",
    "permissions_found",
    "points_read",
    "prediction_known",
    "probe_made",
    "process_failed",
    "process_started",
    "process_stopped",
    "provider_left_alone",
    "registry_down",
    "rejected",
    "schema_answered",
    "serve",
    "shadow_compared",
    "shadow_parted",
    "shed",
    "shedding",
    "slice_appended",
    "snapshot_damaged",
    "snapshot_saved",
    "watchdog_fired",
    "web_answered",
]
