"""What people apply: policy, rules, inventory and lessons, as typed values that travel as canonical JSON in facts.

TOML files are parsed outside; ``canonical`` turns the typed value into the bytes that are hashed, recorded and
decoded again here.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from streams.core.applied import Applied, one_of, unique
from streams.core.errors import InputError
from streams.core.events import CATEGORIES, SEVERITIES, ConfigApplied
from streams.core.experience import Experience, check_experience
from streams.core.inventory import ServiceSpec, check_service

SERVICES_MAX: Final = 10_000
ZONES_MAX: Final = 1_000
STUCK_FAILURES_MAX: Final = 100
"""Failures that are remembered of what may be stuck."""
LIMIT_MAX: Final = 10_000_000_000
"""Largest value of a policy's limit: 115 days in milliseconds."""


class Policy(Applied, frozen=True):
    """Thresholds and limits of the fold. Times in milliseconds of ``now_ms`` unless said.

    Defaults are SPEC C7, X4 and SEED_TABLES section 4. Budgets count commands per rolling hour.
    """

    attempts_max: int = 3
    cooldown_ms: int = 30_000
    cooldown_factor: float = 2.0
    cooldown_max_ms: int = 3_600_000
    budget_per_target: int = 6
    budget_per_service: int = 12
    budget_total: int = 60
    blast_radius_share: float = 0.5
    """Largest share of the inventory's services (at least one service) with an action under way at one time."""
    breaker_failures: int = 5
    """Consecutive failed actions, over all services, that open the circuit breaker ..."""
    breaker_open_ms: int = 300_000
    """... for this long."""
    flapping_ms: int = 3_600_000
    """A service that breaks again this soon after it was healed flaps: its back-off goes on where it was, and actions
    for the same pattern within this time count as attempts of the new incident. 0: each incident begins anew."""
    old_evidence_ms: int = 300_000
    lateness_ms: int = 5_000
    source_silent_ms: int = 30_000
    verify_after_ms: int = 60_000
    stay_away_ms: int = 60_000
    """The symptom must stay away for this long (event time, by the watermark) after the action ended."""
    unverified_after_ms: int = 300_000
    command_ttl_ms: int = 60_000
    action_timeout_ms: int = 30_000
    approval_ttl_ms: int = 900_000
    quiet_close_ms: int = 600_000
    phase1_ms: int = 30_000
    """How long an incident stays in phase 1 without an attempt; the clock stands while an action, its verification or a
    person's answer is awaited, or a guardrail says no. The next two are those of phases 2 and 3."""
    phase2_ms: int = 300_000
    phase3_ms: int = 300_000
    advice: bool = True
    """Off: advisors are not asked; phases 2 and 3 decide by the rules."""
    advice_wait_one_ms: int = 60_000
    """How long an answer is waited for in phase 2, and in phase 3 three of them; never longer than the phase lasts."""
    advice_wait_three_ms: int = 120_000
    advice_confidence_min: float = 0.5
    """A verdict of less confidence brings the next phase, without an attempt."""
    advice_weight: float = 8.0
    """Pseudo-attempts that a verdict weighs beside the rules, times its confidence."""
    grouping_wait_ms: int = 1_000
    """How long a symptom that may come from a dependency waits for that dependency to speak."""
    burst_window_ms: int = 60_000
    """Time (of event) in which a burst of lines raises a severity."""
    alert_escalate_ms: int = 600_000
    """An alert that lasts this long rises by a level, up to the highest that its metric's state has."""
    surge_factor: float = 4.0
    """How many times its usual rate makes a surge of lines ..."""
    surge_lines_min: int = 20
    """... and how many lines within a minute at least."""
    probe_failures: int = 2
    """Failed probes in a row that count as a detection."""
    exploration_rate: float = 0.02
    """Largest share of choices that are not what is best by all that is known, but may well be better."""
    prior_weight: float = 8.0
    """Pseudo-attempts that a rule's strategy starts with."""
    learned_confidence_min: float = 0.7
    predicted_confidence_min: float = 0.8
    forgetting: float = 0.001
    """Share of all that is known of a pattern on a type of service that each new outcome there takes away: 0.001 leaves
    half of it after 690 outcomes. 0: nothing is forgotten."""
    risk_auto_max: float = 0.7
    """An action that is riskier than this (0..1) is done only when a person approves, whatever the service's mode."""
    cost_weight: float = 0.1
    risk_weight: float = 0.2
    prediction: bool = True
    """Off: no failure is predicted, none is learnt from, and no metric is forecast."""
    prediction_alarm: float = 0.5
    """The probability from which on a predicted failure is an alarm."""
    forecast_every_ms: int = 900_000
    """How often a metric's forecast is recorded, in event time."""
    exhaustion_within_ms: int = 1_800_000
    """A metric that reaches its limit within this time is said to be on its way to it."""
    capacity_target: float = 0.8
    """The share of a limit that planned capacity keeps the use below."""
    anomaly_surprise: float = 3.0
    """How rare an episode is that counts as abnormal, as -log10 of its rate: at 3 a service has about one in two days
    without cause. At 2 four times as many, at 4 a fifth."""
    tie_surprise: float = 3.0
    """-log10 of the probability from which on two services' troubles begin together by more than chance."""
    stuck_failures: int = 10
    """Failed attempts, over all incidents, with which a pattern of a service, a specialist or a strategy may be stuck
    (0: none ever is) ..."""
    stuck_success_max: float = 0.1
    """... and the share of attempts since the first of them that helped, below which it is."""
    stuck_window_ms: int = 604_800_000
    """Failures older than this no longer count."""
    autonomy: bool = True
    """Off: what may be done without asking is the inventory's mode alone."""
    autonomy_auto_min: float = 0.35
    """The lower bound of an action's success from which on it is done without asking, where the mode is auto ..."""
    autonomy_approve_min: float = 0.2
    """... and from which on a person is asked for it. Below that it is not even proposed ..."""
    autonomy_trial_ms: int = 86_400_000
    """... but for one trial after this time."""
    automatic_recovery: bool = True
    """Off: everything is decided and recorded, nothing is acted on."""
    coordination: bool = True
    """Off: specialists are chosen and recorded, none is brought up; attempts go on without them."""
    plan_ms: int = 10_000
    """How long a plan waits for what its specialists look for, before it acts on what is known."""
    specialists_max: int = 12
    """Specialists at one time, over all hosts; the next three are what all of them may hold together."""
    specialists_cpu_max: float = 4.0
    """In processors."""
    specialists_memory_max_mb: int = 2_048
    specialists_bandwidth_max_mbps: int = 1_000


class ZoneSpec(Applied, frozen=True):
    """The time zone in which one service, host or topic writes stamps that name none.

    Exactly one of the three is given; it may end in ``*`` and then stands for all names that begin so. ``zone`` is an
    IANA name such as ``Europe/Berlin``; whether there is such a zone is checked before a file is applied.
    """

    zone: str
    service: str = ""
    host: str = ""
    topic: str = ""


class Inventory(Applied, frozen=True, omit_defaults=True):
    """All services that are known, and zones of sources. A service that is not in it is only observed.

    What is empty is left out of the canonical form, so an inventory without zones has the hash that it always had.
    """

    services: tuple[ServiceSpec, ...] = ()
    zones: tuple[ZoneSpec, ...] = ()


class RaiseSpec(Applied, frozen=True):
    """What else in a line makes a rule's match as severe as this (a pool at 100 %, the last replica)."""

    severity: str
    expressions: tuple[str, ...]


class RuleSpec(Applied, frozen=True):
    """One pattern of the catalogue or of a user: expressions in Hyperscan's dialect, matched against bytes."""

    id: str
    category: str
    severity: str
    hint: str
    expressions: tuple[str, ...]
    unless: tuple[str, ...] = ()
    """Expressions that take a match back (a zero count, a recovered state)."""
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    confidence: float = 0.9
    case_sensitive: bool = False
    raises: tuple[RaiseSpec, ...] = ()


class RuleSet(Applied, frozen=True):
    """Users' own patterns, beside the shipped catalogue; one with a shipped id replaces that one."""

    rules: tuple[RuleSpec, ...] = ()


Config = Policy | Inventory | RuleSet | Experience
CONFIG_TYPES: Final[dict[str, type[Config]]] = {
    "policy": Policy,
    "inventory": Inventory,
    "rules": RuleSet,
    "lessons": Experience,
}


def canonical(value: Config | ServiceSpec) -> bytes:
    """Return the one JSON form of a value: fields in declared order, maps by key, no spaces."""
    return msgspec.json.encode(value, order="deterministic")


def sha256(body: bytes) -> str:
    """Return the lower-case hex SHA-256 of canonical bytes."""
    return hashlib.sha256(body).hexdigest()


def decode_config(applied: ConfigApplied) -> Config:
    """Return the typed value of an applied configuration; ``InputError`` when kind, hash or shape are wrong."""
    kind = CONFIG_TYPES.get(applied.kind)
    if kind is None:
        raise InputError(f"kind {applied.kind!r} is none of {', '.join(CONFIG_TYPES)}")
    if sha256(applied.body) != applied.sha256:
        raise InputError(f"{applied.kind}: the body does not have the hash it claims")
    try:
        value = msgspec.json.decode(applied.body, type=kind)
    except msgspec.MsgspecError as error:
        raise InputError(f"{applied.kind}: {error}") from error
    check(value)
    return value


def check(value: Config) -> None:
    """Raise ``InputError`` naming the first field whose value makes no sense."""
    match value:
        case Policy():
            _check_policy(value)
        case Inventory():
            _check_inventory(value)
        case RuleSet():
            unique("rule id", [rule.id for rule in value.rules])
            for rule in value.rules:
                one_of(f"rule {rule.id}: category", rule.category, CATEGORIES)
                one_of(f"rule {rule.id}: severity", rule.severity, SEVERITIES)
        case Experience():
            check_experience(value)


def _check_policy(policy: Policy) -> None:
    for name in policy.__struct_fields__:
        if not 0 <= getattr(policy, name) <= LIMIT_MAX:
            raise InputError(f"policy: {name} is not in 0..{LIMIT_MAX:,}")
    if policy.prior_weight <= 0:
        raise InputError("policy: prior_weight is 0, so there is nothing to begin with; give more than 0")
    if policy.capacity_target <= 0:
        raise InputError("policy: capacity_target is 0, which no capacity is enough for; give more than 0")
    if policy.stuck_failures > STUCK_FAILURES_MAX:
        raise InputError(f"policy: stuck_failures is not in 0..{STUCK_FAILURES_MAX}")
    for name in (
        "blast_radius_share",
        "exploration_rate",
        "learned_confidence_min",
        "advice_confidence_min",
        "prediction_alarm",
        "stuck_success_max",
        "autonomy_auto_min",
        "autonomy_approve_min",
        "capacity_target",
        "predicted_confidence_min",
        "forgetting",
        "risk_auto_max",
    ):
        if getattr(policy, name) > 1:
            raise InputError(f"policy: {name} is a share; give 0..1")
    if policy.cooldown_factor < 1:
        raise InputError("policy: cooldown_factor is below 1, so cool-downs would shrink; give 1 or more")


def _check_inventory(inventory: Inventory) -> None:
    if len(inventory.services) > SERVICES_MAX:
        raise InputError(f"inventory: more than {SERVICES_MAX} services; split them over several fleets")
    unique("service", [spec.name for spec in inventory.services])
    for spec in inventory.services:
        check_service(spec)
    _check_zones(inventory.zones)
    _check_cycles({spec.name: spec.depends_on for spec in inventory.services})


def _check_zones(zones: tuple[ZoneSpec, ...]) -> None:
    if len(zones) > ZONES_MAX:
        raise InputError(f"inventory: more than {ZONES_MAX} zones; give one to all names that begin alike, as in web-*")
    for spec in zones:
        if [bool(name) for name in (spec.service, spec.host, spec.topic)].count(True) != 1:
            raise InputError(f"zone {spec.zone!r}: give exactly one of service, host and topic")
        if not spec.zone:
            raise InputError(f"{zone_source(spec)}: the zone is empty")
    unique("the zone of", [zone_source(spec) for spec in zones])


def zone_source(spec: ZoneSpec) -> str:
    """Return what a zone is for, in words: ``host web-*``."""
    return " ".join(f"{kind} {name}" for kind in ("service", "host", "topic") if (name := getattr(spec, kind)))


def _check_cycles(depends_on: dict[str, tuple[str, ...]]) -> None:
    """Refuse services that depend on themselves by way of others: each would be taken for the other's echo."""
    left = dict(depends_on)
    while left:
        free = [name for name, others in left.items() if not any(other in left for other in others)]
        if not free:
            raise InputError(f"inventory: depends_on goes round in a circle among {', '.join(sorted(left)[:5])}")
        for name in free:
            del left[name]
