"""Hard limits on action: every gate is asked each time, and every answer is recorded.

Limits hold per target, per service and overall, so that no clever key can turn one outage into a storm of actions. The
counters are a part of the fold's state: a crash rebuilds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct, field

from streams.core.config import Policy
from streams.core.events import Gate
from streams.core.inventory import ServiceSpec, may_act
from streams.core.num import stored
from streams.core.roster import HELD_MAX, Needs

HOUR_MS: Final = 3_600_000
COMMANDS_KEPT_MAX: Final = 10_000
TEMPORARY: Final = frozenset(
    {
        "not_halted",
        "target_idle",
        "cooldown",
        "budget_target",
        "budget_service",
        "budget_total",
        "blast_radius",
        "breaker",
        "maintenance",
    }
)
"""Gates that open again by themselves (or by a person's release) while the incident lasts."""


class Issued(Struct, array_like=True):
    """A command that was issued: when (``now_ms``), for which service, on which host, for which pattern."""

    now_ms: int
    service: str
    host: str
    pattern: str


class Cooldown(Struct, array_like=True):
    """Back-off of one service: how many actions in a row, and until when (``now_ms``) there is none.

    ``healed_ms`` is when (``now_ms``) the last of them was verified, -1 while it is not.
    """

    level: int = 0
    until_ms: int = 0
    healed_ms: int = -1


class Breaker(Struct, array_like=True):
    """Failed actions in a row over all services, and until when (``now_ms``) nothing is tried."""

    failures: int = 0
    open_until_ms: int = 0


class Guard(Struct):
    """Counters behind the gates."""

    issued: list[Issued] = []
    cooldowns: dict[str, Cooldown] = {}
    breaker: Breaker = field(default_factory=Breaker)

    def count_issued(self, now_ms: int, spec: ServiceSpec, pattern: str, policy: Policy) -> None:
        """Note a command, and lengthen the service's cool-down; it starts over when the service stayed healed."""
        kept_ms = max(HOUR_MS, policy.flapping_ms)
        self.issued = [one for one in self.issued if now_ms - one.now_ms < kept_ms][-COMMANDS_KEPT_MAX:]
        self.issued.append(Issued(now_ms, spec.name, spec.host, pattern))
        cooldown = self.cooldowns.setdefault(spec.name, Cooldown())
        if cooldown.healed_ms >= 0 and now_ms - cooldown.healed_ms >= policy.flapping_ms:
            cooldown.level = 0
        cooldown.healed_ms = -1
        length_ms: float = policy.cooldown_ms
        for _ in range(min(cooldown.level, 64)):
            length_ms = min(length_ms * policy.cooldown_factor, policy.cooldown_max_ms)
        cooldown.level += 1
        cooldown.until_ms = now_ms + int(min(length_ms, policy.cooldown_max_ms))

    def count_success(self, now_ms: int, service: str) -> None:
        """Note a verified success: the breaker starts over, and the back-off of the service once it stays healed."""
        self.breaker = Breaker()
        if service in self.cooldowns:
            self.cooldowns[service].healed_ms = now_ms

    def count_failure(self, now_ms: int, policy: Policy) -> None:
        """Note a failed action; enough of them in a row open the breaker."""
        self.breaker.failures += 1
        if self.breaker.failures >= policy.breaker_failures:
            self.breaker = Breaker(0, now_ms + policy.breaker_open_ms)

    def attempts(self, now_ms: int, service: str, pattern: str, policy: Policy) -> int:
        """Return how many commands there were for a pattern of a service within the time in which it may flap."""
        return sum(
            one.service == service and one.pattern == pattern and now_ms - one.now_ms < policy.flapping_ms
            for one in self.issued
        )

    def recent(self, now_ms: int) -> list[Issued]:
        """Return the commands of the last hour."""
        return [one for one in self.issued if now_ms - one.now_ms < HOUR_MS]


class Situation(Struct, frozen=True, kw_only=True):
    """What the gates look at. ``spec`` is None for a service that is not in the inventory."""

    spec: ServiceSpec | None
    now_ms: int
    evidence_age_ms: int
    halted: bool
    attempts: int
    under_way: frozenset[str]
    """Services with an action that has not been verified yet."""
    services_known: int


def ask(guard: Guard, policy: Policy, situation: Situation) -> tuple[Gate, ...]:
    """Return every gate's answer. A service that is not in the inventory is only observed."""
    spec = situation.spec
    fresh = _at_most("fresh_evidence", situation.evidence_age_ms, policy.old_evidence_ms)
    if spec is None:
        return (Gate(name="known", passed=False, value=0.0, limit=1.0), fresh)
    return (
        Gate(name="known", passed=True, value=1.0, limit=1.0),
        Gate(name="mode", passed=spec.mode in {"approve", "auto"}, value=float(spec.mode == "auto"), limit=1.0),
        Gate(name="not_protected", passed=not spec.protected, value=float(spec.protected), limit=0.0),
        fresh,
        _below("attempts", situation.attempts, policy.attempts_max),
        Gate(name="not_halted", passed=not situation.halted, value=float(situation.halted), limit=0.0),
        Gate(
            name="automatic_recovery",
            passed=policy.automatic_recovery,
            value=float(policy.automatic_recovery),
            limit=1.0,
        ),
        *_limits(guard, policy, situation, spec),
    )


def may_look(spec: ServiceSpec, policy: Policy, *, halted: bool) -> bool:
    """Tell whether a service may be looked at: nothing that people decided says no."""
    return may_act(spec) and policy.automatic_recovery and not halted


def ask_room(needs: Needs, policy: Policy) -> tuple[Gate, ...]:
    """Return whether all specialists together, with those to be called, hold no more than they may."""
    return (
        _at_most("specialists", needs.specialists, min(policy.specialists_max, HELD_MAX)),
        _at_most("specialists_cpu", needs.cpu, policy.specialists_cpu_max),
        _at_most("specialists_memory_mb", needs.memory_mb, policy.specialists_memory_max_mb),
        _at_most("specialists_bandwidth_mbps", needs.bandwidth_mbps, policy.specialists_bandwidth_max_mbps),
    )


def _limits(guard: Guard, policy: Policy, situation: Situation, spec: ServiceSpec) -> tuple[Gate, ...]:
    recent = guard.recent(situation.now_ms)
    of_service = [one for one in recent if one.service == spec.name]
    of_target = [one for one in of_service if one.host == spec.host]
    others = len(situation.under_way - {spec.name})
    fleet_max = max(1, int(situation.services_known * policy.blast_radius_share))
    cooldown = guard.cooldowns.get(spec.name, Cooldown())
    busy = spec.name in situation.under_way
    return (
        Gate(name="target_idle", passed=not busy, value=float(busy), limit=0.0),
        _at_most("cooldown", max(cooldown.until_ms - situation.now_ms, 0), 0),
        _below("budget_target", len(of_target), policy.budget_per_target),
        _below("budget_service", len(of_service), policy.budget_per_service),
        _below("budget_total", len(recent), policy.budget_total),
        _at_most("blast_radius", others + 1, fleet_max),
        _at_most("breaker", max(guard.breaker.open_until_ms - situation.now_ms, 0), 0),
    )


def _below(name: str, value: float, limit: float) -> Gate:
    return Gate(name=name, passed=value < limit, value=stored(float(value)), limit=stored(float(limit)))


def _at_most(name: str, value: float, limit: float) -> Gate:
    return Gate(name=name, passed=value <= limit, value=stored(float(value)), limit=stored(float(limit)))


def failed(gates: Sequence[Gate]) -> tuple[str, ...]:
    """Return the names of the gates that said no."""
    return tuple(gate.name for gate in gates if not gate.passed)
