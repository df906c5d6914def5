"""Services are measured as facts come, and assessed whenever a minute of theirs (of event) is over.

Nothing here goes over all services: a service's minute turns with the first fact of its next one. What is too late for
the minute under way still counts in its track while that holds the minute, and is in the facts in any case.
"""

from __future__ import annotations

from typing import Final

from streams.core import foreseeing
from streams.core.alerts import alert, resolve_all
from streams.core.events import SEVERITIES, ProbeReported, Sample, Tally
from streams.core.features import SPANS
from streams.core.health import FAILED, Health, Measured, assess
from streams.core.inventory import LIVENESS_KINDS
from streams.core.state import Draft, Turn
from streams.core.vitals import (
    GONE_MS,
    LINES,
    LINES_LEAST,
    MINUTE_MS,
    PROBES,
    SERIES_TOTAL_MAX,
    SILENT_MS,
    STALE_MS,
    VITALS_MAX,
    Vital,
)

ANSWERING_KINDS: Final = frozenset({"http", "tcp"})
"""Probes whose latency is how long the service took to answer."""
BAD: Final = frozenset(SEVERITIES[2:])
FULL_SAID_EVERY_MS: Final = 3_600_000
FULL_LOOKED_EVERY_MS: Final = 1_000


def hear_lines(turn: Turn, tallies: tuple[Tally, ...]) -> None:
    """Count the lines of services in the inventory: of this minute, and those that come a minute late."""
    heard: dict[str, int] = {}
    for tally in tallies:
        vital = _followed(turn, tally.service)
        if vital is None:
            continue
        at_ms = turn.seen_ms(tally.at_ms)
        _reach(turn, tally.service, vital, at_ms)
        if at_ms // MINUTE_MS < vital.minute - 1:
            continue
        vital.lines += tally.count
        if tally.severity in BAD:
            vital.errors += tally.count
        heard[tally.service] = at_ms
    _tell(turn, heard)


def hear_samples(turn: Turn, samples: tuple[Sample, ...]) -> None:
    """Take the samples of a slice into their tracks."""
    heard: dict[str, int] = {}
    grown: dict[str, set[tuple[str, str]]] = {}
    for sample in samples:
        service, at_ms = sample.service, turn.seen_ms(sample.at_ms)
        row = turn.catalogue.health.metrics.get(sample.metric)
        vital = _followed(turn, service, measured=True) if row is not None else None
        if row is None or vital is None:
            continue
        if heard.get(service, at_ms) != at_ms:
            _flow(turn, vital, grown.pop(service, set()))
        heard[service] = at_ms
        _reach(turn, service, vital, at_ms)
        rule = sample.series.partition("#")[0]
        if sample.kind == "gauge":
            value = sample.max if row.of == "max" else sample.sum / max(sample.count, 1)
            vital.measure(sample.metric, rule, at_ms, value)
        else:
            counters = turn.state.vitals
            counters.counters += vital.count(sample, rule, SERIES_TOTAL_MAX - counters.counters)
            grown.setdefault(service, set()).add((sample.metric, rule))
    for service, flows in grown.items():
        if (vital := turn.state.vitals.get(service)) is not None:
            _flow(turn, vital, flows)
    _tell(turn, heard)


def hear_probe(turn: Turn, probe: ProbeReported) -> None:
    """Take a liveness probe into account, after its failures were counted; a service that fails has failed at once."""
    if probe.kind not in LIVENESS_KINDS:
        return
    vital = _followed(turn, probe.service)
    if vital is None:
        return
    at_ms = turn.seen_ms(probe.at_ms)
    _reach(turn, probe.service, vital, at_ms)
    vital.measure("availability", PROBES, at_ms, 100.0 if probe.ok else 0.0)
    if probe.ok and probe.kind in ANSWERING_KINDS:
        vital.measure("response_time", PROBES, at_ms, float(probe.latency_ms))
    vital.down = _down(turn, probe.service)
    if vital.down != (vital.status == FAILED):
        _judge(turn, probe.service, vital, at_ms)
    foreseeing.heard(turn, probe.service, vital, at_ms)


def _tell(turn: Turn, heard: dict[str, int]) -> None:
    for service, at_ms in heard.items():
        if (vital := turn.state.vitals.get(service)) is not None:
            foreseeing.heard(turn, service, vital, at_ms)


def _flow(turn: Turn, vital: Vital, flows: set[tuple[str, str]]) -> None:
    """Measure what counters make, once all that a service says of one second is in."""
    for metric, rule in sorted(flows):
        vital.flow(metric, rule, turn.catalogue.health.metrics[metric])


def _followed(turn: Turn, service: str, *, measured: bool = False) -> Vital | None:
    """Return what is measured of a service; None when it is not followed: unknown to the inventory, or no room."""
    vitals = turn.state.vitals
    vital = vitals.followed.get(service)
    if vital is not None or not (measured or turn.fleet.spec(service) is not None):
        return vital
    if len(vitals.followed) >= VITALS_MAX and not _make_room(turn, service):
        return None
    vital = vitals.followed[service] = Vital(heard_ms=turn.now_ms)
    return vital


def _make_room(turn: Turn, service: str) -> bool:
    """Let the longest silent service go, or for one of the inventory a stranger: anybody can make up names.

    False, said once an hour, when there is none to go.
    """
    vitals = turn.state.vitals
    if turn.fleet.spec(service) is not None and len(turn.fleet) <= VITALS_MAX:
        stranger = next(name for name in vitals.followed if turn.fleet.spec(name) is None)  # by count there is one
        _let_go(turn, stranger, "not in the inventory, and another one is")
        return True
    if turn.now_ms < vitals.full_looked_ms + FULL_LOOKED_EVERY_MS:
        return False
    if _let_silent_go(turn, SILENT_MS):
        return True
    vitals.full_looked_ms = turn.now_ms
    if turn.now_ms >= vitals.full_said_ms + FULL_SAID_EVERY_MS:
        vitals.full_said_ms = turn.now_ms
        reason = f"{VITALS_MAX} services are followed and none is silent; no more are followed"
        turn.write(Draft(kind="unfollowed", reason=reason))
    return False


def _let_silent_go(turn: Turn, silent_ms: int) -> bool:
    """Follow the longest silent service no longer, if it was silent for so long."""
    name = next(iter(turn.state.vitals.followed))
    if turn.now_ms - turn.state.vitals.followed[name].heard_ms < silent_ms:
        return False
    _let_go(turn, name, "longest silent")
    return True


def _let_go(turn: Turn, service: str, why: str) -> None:
    """Follow a service no longer; what was told of it is taken back."""
    vitals = turn.state.vitals
    vital = vitals.followed[service]
    resolve_all(turn, service, vital)
    foreseeing.forget(turn, service)
    del vitals.followed[service]
    vitals.counters -= sum(len(flow.counters) for flow in vital.flows.values())
    turn.write(Draft(kind="unfollowed", reason=why, service=service))


def _reach(turn: Turn, service: str, vital: Vital, at_ms: int) -> None:
    """Go on to the minute of ``at_ms``; the one that is over is assessed."""
    number = at_ms // MINUTE_MS
    if number <= vital.minute:
        return
    if vital.minute >= 0:
        _turn_minute(turn, service, vital)
    vital.minute, vital.heard_ms = number, turn.now_ms
    vital.lines = vital.errors = 0
    followed = turn.state.vitals.followed
    followed[service] = followed.pop(service)
    _let_silent_go(turn, GONE_MS)


def _turn_minute(turn: Turn, service: str, vital: Vital) -> None:
    end_ms = (vital.minute + 1) * MINUTE_MS - 1
    if vital.lines >= LINES_LEAST:
        vital.measure("error_rate", LINES, end_ms, 100.0 * vital.errors / vital.lines)
    measured = _judge(turn, service, vital, end_ms)
    if measured:
        draft = Draft(kind="assessed", reason=vital.status, service=service, at_ms=vital.minute * MINUTE_MS)
        draft.figures = {metric: one.value for metric, one in measured.items()} | {"score": vital.score}
        spec = turn.fleet.spec(service)
        draft.host, draft.category = (spec.host, spec.type) if spec else ("", "")
        turn.write(draft)
    vital.down = _down(turn, service)
    foreseeing.minute(turn, service, vital, end_ms)
    before_ms = end_ms - STALE_MS
    turn.state.vitals.counters -= sum(flow.forget(before_ms) for flow in vital.flows.values())


def _judge(turn: Turn, service: str, vital: Vital, at_ms: int) -> dict[str, Measured]:
    """Give a service its score and status, tell of a change and of what is wrong; return what it was judged by."""
    measured = _measured(turn, vital)
    health = assess(measured)
    table, before = turn.catalogue.health, vital.status
    down = vital.down or _says_down(vital, measured)
    if down:
        vital.score, vital.status = 0.0, FAILED
    elif measured:
        vital.score, vital.status = health.score, table.settled(health.score, before).id
    else:
        vital.score, vital.status = -1.0, ""
    if down and before != FAILED:
        foreseeing.failed(turn, service, at_ms)
    if vital.status not in {"", before} and (before or down):
        _changed(turn, service, vital, health, before, at_ms)
    alert(turn, service, vital, health, measured, at_ms)
    return measured


def _changed(turn: Turn, service: str, vital: Vital, health: Health, before: str, at_ms: int) -> None:
    because = f": {health.leading}" if health.leading else ""
    reason = f"{before or 'unknown'} to {vital.status}{because}"
    figures = {"score": vital.score}
    turn.write(Draft(kind="health_changed", reason=reason, service=service, at_ms=at_ms, figures=figures))


def _measured(turn: Turn, vital: Vital) -> dict[str, Measured]:
    """Return the metrics that are known now, as they are judged, in the order of ``HEALTH_METRICS``."""
    rows = turn.catalogue.health.metrics
    found: dict[str, Measured] = {}
    for metric in SPANS:
        if metric not in vital.tracks:
            continue
        row = rows["error_lines" if vital.rules[metric] == LINES else metric]
        value = vital.value(metric, row.of)
        if value is not None:
            found[metric] = Measured(row, value, vital.tracks[metric])
    return found


def _down(turn: Turn, service: str) -> bool:
    """Tell whether a liveness probe fails as often as counts as a symptom."""
    live = turn.state.services.live.get(service)
    failures = live.probe_failures if live else {}
    return any(failures.get(kind, 0) >= turn.policy.probe_failures for kind in LIVENESS_KINDS)


def _says_down(vital: Vital, measured: dict[str, Measured]) -> bool:
    """Tell whether a producer says that the service answered nobody in the whole minute."""
    reported = measured.get("availability")
    return reported is not None and vital.rules["availability"] != PROBES and reported.value <= 0.0
