"""What is asked when an incident is decided on: how its service stands, what was found, and what is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from streams.core.features import Trouble, of_error
from streams.core.incidents import Incident
from streams.core.inventory import LIVENESS_KINDS, ServiceSpec
from streams.core.judging import in_shadow
from streams.core.learning import Where
from streams.core.prediction import Foresight, Prediction
from streams.core.risk import Standing
from streams.core.state import Turn
from streams.core.strategy import Question
from streams.core.verdict import AGREED
from streams.core.vitals import Vital

FORESIGHT: Final = Foresight()
NOTHING_TO_START: Final = "nothing_to_start"
MINUTE_MS: Final = 60_000
PERCENT: Final = 100.0


def question_of(turn: Turn, incident: Incident, spec: ServiceSpec) -> Question:
    """Return what is asked about an incident, with what its specialists found."""
    vector = vector_of(turn, incident, spec)
    where = Where(pattern=incident.pattern, category=incident.category, service_type=spec.type)
    actions = [row.id for row in turn.catalogue.actions_for(spec, incident.pattern) if row.strategy != "escalate"]
    return Question(
        pattern=incident.pattern,
        category=incident.category,
        severity=incident.severity,
        spec=spec,
        failed=incident.failed,
        findings=incident.plan.findings if incident.plan is not None else {},
        barred=in_shadow(turn, where, actions) | _nothing_to_start(turn, spec, actions),
        advised=_advised(incident),
        standing=standing_of(turn, spec),
        vector=vector,
        predicted=_predicted(turn, incident, spec, vector),
    )


def _nothing_to_start(turn: Turn, spec: ServiceSpec, actions: Sequence[str]) -> dict[str, str]:
    """Bar the start of a service whose probe says that it runs: it would do nothing, and cost an attempt.

    Where the probe is late and the service has just died, a restart starts it all the same.
    """
    service = turn.state.services.live.get(spec.name)
    known = service.probe_failures if service is not None else {}
    if any(known.get(kind, 1) == 0 for kind in LIVENESS_KINDS):
        return {action: NOTHING_TO_START for action in actions if action.endswith(".start")}
    return {}


def _advised(incident: Incident) -> dict[str, float]:
    verdict = incident.asked.verdict if incident.asked is not None else None
    return {verdict.action: verdict.confidence} if verdict is not None and verdict.kind == AGREED else {}


def _predicted(turn: Turn, incident: Incident, spec: ServiceSpec, vector: tuple[float, ...]) -> Prediction | None:
    if not turn.policy.prediction:
        return None
    rows = turn.catalogue.actions_for(spec, incident.pattern)
    allowed = list(dict.fromkeys(row.strategy for row in rows if row.strategy != "escalate"))
    return turn.state.strategist.predict(vector, allowed, FORESIGHT)


def standing_of(turn: Turn, spec: ServiceSpec) -> Standing:
    """Return how far trouble of a service reaches, and whether a probe of its liveness fails."""
    service = turn.state.services.live.get(spec.name)
    failures = service.probe_failures if service is not None else {}
    down = any(failures.get(kind, 0) for kind in LIVENESS_KINDS)
    return Standing(reach=turn.fleet.reach(spec.name), down=down)


def vector_of(turn: Turn, incident: Incident, spec: ServiceSpec) -> tuple[float, ...]:
    """Return the 32 values of an error (SEED_TABLES section 6) as its service stands now; 0 is what is not known."""
    vital = turn.state.vitals.get(spec.name)
    cooldown = turn.state.guard.cooldowns.get(spec.name)
    healed_ms = cooldown.healed_ms if cooldown is not None else -1
    windows = turn.state.windows
    return of_error(
        Trouble(
            component=spec.type,
            severity=incident.severity,
            category=incident.category,
            cpu_share=(vital.value("cpu") or 0.0) / PERCENT if vital is not None else 0.0,
            queue_share=_queue_share(vital, spec.queue_limit),
            errors_per_minute=float(windows.errors_a_minute(spec.name, incident.last_at_ms)),
            health_score=max(vital.score, 0.0) if vital is not None else 0.0,
            error_rate_slope=windows.error_slope(spec.name, incident.last_at_ms),
            consecutive_failures=sum(incident.failed.values()),
            attempts=incident.attempts,
            minutes_since_success=(turn.now_ms - healed_ms) / MINUTE_MS if healed_ms >= 0 else 0.0,
        )
    )


def _queue_share(vital: Vital | None, limit: int) -> float:
    depth = vital.value("queue_depth", "max") if vital is not None else None
    return depth / limit if limit and depth is not None else 0.0
