"""Flapping: a real service that crashes again, each time shortly after it was healed.

The first time it is verified before it breaks, so that its next crash is another incident; then it crashes while its
action is still being verified. The back-off doubles over both incidents, the third attempt is the last, and a person is
asked. Two failures in a row open the breaker meanwhile: another service that crashes then has to wait until it closes.

What the fold knows of a flapping service lasts for an hour, so each run has one with a name of its own.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lab.company import Company
from lab.demo import WARM_UP_S, archived
from lab.display import Display
from lab.inventory import LAB_POLICY
from lab.scenarios.frame import Claim, Report, Table
from lab.scenarios.own import break_down, company, process
from lab.session import Lab, running
from lab.site import Site
from streams.core.events import Decision
from streams.core.inventory import ProbeSpec, ServiceSpec
from streams.settings import Settings

POLICY: Final = replace(
    LAB_POLICY,
    cooldown_ms=9_000,  # longer than a verification, so that it shows
    cooldown_max_ms=3_600_000,
    flapping_ms=3_600_000,
    verify_after_ms=2_000,
    stay_away_ms=2_000,
    breaker_failures=2,
    breaker_open_ms=8_000,
    exploration_rate=0.0,
    quiet_close_ms=120_000,
)
PROBES: Final = (ProbeSpec(kind="process", every_ms=500),)
CRASHES: Final = 1 + POLICY.attempts_max
"""The first one, and one after each action."""
DECIDED_S: Final = 40.0
"""Longest wait for what has to be decided next: the longest cool-down of the scenario, and then some."""
RELAPSE_S: Final = 0.8
"""How long it works again before it crashes."""


class Attempt(Struct, frozen=True, kw_only=True):
    """One action on the flapping service. Seconds are of ``now_ms``; the first has none before it."""

    attempt: int
    incident: int
    """The first of this run is 1."""
    action: str
    since_previous_seconds: float | None
    cooldown_seconds: float
    """The cool-down that this action begins, by the policy; ``since_previous_seconds`` of the next shows whether."""
    put_off: bool
    """Whether a decision says that it had to wait for the cool-down."""
    became: str


class Flapping(Report, frozen=True, kw_only=True):
    """The attempts on the flapping service, who was asked, and what the breaker did to the other service."""

    service: str
    crashes: int
    attempts: tuple[Attempt, ...]
    escalations: tuple[str, ...]
    breaker_seconds: float | None
    """From the failure that opened it to the first action on the other service; None when there was none."""

    def tables(self) -> tuple[Table, ...]:
        """Return a row for each attempt, the escalation and the breaker."""
        columns = ("attempt", "incident", "action", "after the one before", "then a cool-down of", "became")
        rows = tuple(
            (
                one.attempt,
                one.incident,
                one.action,
                "-" if one.since_previous_seconds is None else f"{one.since_previous_seconds:.1f} s",
                f"{one.cooldown_seconds:.0f} s",
                one.became,
            )
            for one in self.attempts
        )
        rest = (
            ("crashes", self.crashes),
            ("a person was asked", ", ".join(self.escalations) or "no"),
            ("another service had to wait", "-" if self.breaker_seconds is None else f"{self.breaker_seconds:.1f} s"),
        )
        return (
            Table(title=f"Actions on {self.service}", columns=columns, rows=rows),
            Table(title="", columns=("", ""), rows=rest),
        )


async def run(settings: Settings, display: Display) -> Flapping:
    """Let a service flap until a person is asked, then break another while the breaker is open (under 80 s)."""
    began = time.monotonic()
    stamp = time.time_ns() // 1_000_000_000 % 1_000_000
    names = (f"flapper-{stamp}", f"other-{stamp}")
    with display:
        async with running(settings, display.phase, POLICY, (), invite=lambda site: _company(site, names)) as lab:
            await asyncio.sleep(WARM_UP_S)
            crashes = await _flap(lab, display)
            await _break_other(lab, display)
            display.phase("waiting until the event log holds it all")
            await archived(lab)
            decisions = list(lab.watch.decisions)
            display.phase("stopping")
    return _report(decisions, names, crashes, time.monotonic() - began)


def _company(site: Site, names: Sequence[str]) -> Company:
    """Return two workers, each with a store of its own."""
    return company(site, [_worker(site, name) for name in names])


def _worker(site: Site, name: str) -> ServiceSpec:
    config = {"database": str(site.root / name / "orders.sqlite"), "interval_ms": 250, "busy_timeout_ms": 300}
    return process(site, name, "lab.services.worker", config, probes=PROBES)


async def _flap(lab: Lab, display: Display) -> int:
    """Crash the first service, and again after each action, until a person is asked; return how often it crashed."""
    flapper = lab.company.specs[0]
    for number in range(1, CRASHES + 1):
        display.phase(f"{flapper.name} crashes, {number} of {CRASHES}")
        await asyncio.to_thread(break_down, lab.site, flapper, signal.SIGSEGV)
        if number == CRASHES:
            await _heard(lab, flapper, "escalated")
        elif not await _acted(lab, flapper, number):
            return number
        elif number == 1:
            await _heard(lab, flapper, "verified")  # its next crash is another incident; those after that are not
        await asyncio.sleep(RELAPSE_S)
    return CRASHES


async def _break_other(lab: Lab, display: Display) -> None:
    """Crash the second service while the breaker is open, and wait until it is healed after all."""
    other = lab.company.specs[1]
    display.phase(f"{other.name} crashes while the breaker is open")
    await asyncio.to_thread(break_down, lab.site, other, signal.SIGSEGV)
    await _heard(lab, other, "verified")


async def _heard(lab: Lab, spec: ServiceSpec, kind: str) -> bool:
    """Wait until there is a decision of a kind on a service; False when none comes in time."""
    return await lab.watch.until(lambda decisions: bool(_of(decisions, spec.name, kind)), DECIDED_S)


async def _acted(lab: Lab, spec: ServiceSpec, count: int) -> bool:
    """Wait until so many actions on a service have ended; False when they don't in time."""
    return await lab.watch.until(lambda decisions: _ended(decisions, spec.name) >= count, DECIDED_S)


def _ended(decisions: Sequence[Decision], service: str) -> int:
    """Return how many actions on a service have ended; looks and specialists are none."""
    actions = {one.id for one in _of(decisions, service, "commanded")}
    return sum(one.refers_to in actions for one in _of(decisions, service, "command_ended"))


def _of(decisions: Sequence[Decision], service: str, *kinds: str) -> list[Decision]:
    return [one for one in decisions if one.service == service and one.kind in kinds]


def _attempts(decisions: Sequence[Decision], service: str) -> tuple[Attempt, ...]:
    """Return a row for each command for a service."""
    commands = _of(decisions, service, "commanded")
    incidents = list(dict.fromkeys(one.incident for one in commands))
    rows = []
    for place, decision in enumerate(commands):
        before = commands[place - 1] if place else None
        put_off = [
            one
            for one in _of(decisions, service, "withheld")
            if before is not None and before.seq < one.seq < decision.seq and "cooldown" in one.reason
        ]
        rows.append(
            Attempt(
                attempt=decision.command.attempt if decision.command else 0,
                incident=incidents.index(decision.incident) + 1,
                action=decision.command.action if decision.command else "",
                since_previous_seconds=(decision.now_ms - before.now_ms) / 1000 if before else None,
                cooldown_seconds=POLICY.cooldown_ms * POLICY.cooldown_factor**place / 1000,
                put_off=bool(put_off),
                became=_became(decisions, decision),
            )
        )
    return tuple(rows)


def _became(decisions: Sequence[Decision], command: Decision) -> str:
    """Return what became of a command: the judgement on it, or else how it ended."""
    about = [one for one in decisions if one.refers_to == command.id]
    judged = [one.kind for one in about if one.kind in {"verified", "verification_failed", "unverified"}]
    return judged[0] if judged else next((one.reason for one in about if one.kind == "command_ended"), "no outcome")


def _breaker_seconds(decisions: Sequence[Decision], service: str, other: str) -> float | None:
    """Return the time from the failure that opened the breaker to the first action on the other service."""
    failures, actions = _of(decisions, service, "verification_failed"), _of(decisions, other, "commanded")
    return (actions[0].now_ms - failures[-1].now_ms) / 1000 if failures and actions else None


def _report(decisions: Sequence[Decision], names: Sequence[str], crashes: int, seconds: float) -> Flapping:
    service, other = names
    attempts = _attempts(decisions, service)
    escalations = tuple(one.reason for one in _of(decisions, service, "escalated"))
    waited = _breaker_seconds(decisions, service, other)
    withheld = [one.reason for one in _of(decisions, other, "withheld")]
    return Flapping(
        scenario="flapping",
        seconds=round(seconds, 1),
        claims=(
            *claims_of_attempts(attempts, crashes),
            Claim(
                says="the third attempt is the last: one person is asked, once",
                found=f"asked {len(escalations)} times: {', '.join(escalations)}",
                holds=len(escalations) == 1 and len(attempts) == POLICY.attempts_max,
            ),
            Claim(
                says=f"{POLICY.breaker_failures} failures in a row open the breaker: nothing is tried on {other}",
                found=f"withheld: {', '.join(withheld) or 'never'}",
                holds="breaker" in withheld,
            ),
            Claim(
                says=f"the breaker closes after {POLICY.breaker_open_ms / 1000:g} s, and {other} is healed",
                found=f"acted on after {waited} s; {len(_of(decisions, other, 'verified'))} verified",
                holds=waited is not None
                and waited >= POLICY.breaker_open_ms / 1000
                and len(_of(decisions, other, "verified")) == 1,
            ),
        ),
        service=service,
        crashes=crashes,
        attempts=attempts,
        escalations=escalations,
        breaker_seconds=waited,
    )


def claims_of_attempts(attempts: Sequence[Attempt], crashes: int) -> tuple[Claim, Claim]:
    """Return what is claimed of the attempts on the flapping service: which there were, and when."""
    numbers, incidents = [one.attempt for one in attempts], [one.incident for one in attempts]
    gaps = [one.since_previous_seconds or 0.0 for one in attempts[1:]]
    cooldowns = [one.cooldown_seconds for one in attempts[:-1]]
    return (
        Claim(
            says="it crashes again after each action, and what is verified does not make it begin anew",
            found=f"{crashes} crashes, attempts {numbers} in incidents {incidents}",
            holds=crashes == CRASHES and numbers == [1, 2, 3] and incidents == [1, 2, 2],
        ),
        Claim(
            says="the back-off doubles: each action comes when it has passed, and not when twice as much has",
            found=", ".join(f"{gap:.1f} s for {cooldown:g} s" for gap, cooldown in zip(gaps, cooldowns, strict=True)),
            holds=len(gaps) == POLICY.attempts_max - 1
            and all(cooldown <= gap < 2 * cooldown for gap, cooldown in zip(gaps, cooldowns, strict=True))
            and all(one.put_off for one in attempts[1:]),
        ),
    )
