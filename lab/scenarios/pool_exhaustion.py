"""Pool exhaustion: a client that never closes its sessions uses up a database's limit; three specialists heal it.

The course is that of seed 000's example: analysis, decision, spawn, execution, learning. It is run twice: what was
learned of the first time is what the second one is decided with.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from analytics.views import EventLog
from lab.demo import WARM_UP_S, archived
from lab.display import Display
from lab.faults import Fault, make
from lab.inventory import LAB_POLICY
from lab.scenarios.frame import Claim, Report, Table
from lab.scenarios.teams import (
    RUNNING_CLAIM,
    RUNNING_SECONDS_MAX,
    Specialist,
    let_go,
    recorded_ms,
    slowest,
    specialists,
)
from lab.session import Lab, background, running, traffic
from lab.site import DB
from lab.watch import Watch
from streams.core.events import Decision
from streams.settings import Settings
from streams.workers.clock import now_ms

POLICY: Final = replace(LAB_POLICY, verify_after_ms=2_000, stay_away_ms=3_000, exploration_rate=0.0)
CUSTOMERS: Final = 6
ROUNDS: Final = 2
HEALED_S: Final = 30.0
LOOK_S: Final = 0.1
PATTERN: Final = "database_connection"
TEAM: Final = {
    "database-optimizer-001": "primary",
    "performance-optimizer-001": "support",
    "network-engineer-001": "support",
}
SEED: Final = {"analysis": "5 s", "decision": "10 s", "spawn": "15 s", "execution": "3-5 min", "learning": "-"}
"""What seed 000 says that each stage takes (SEED_TABLES section 7); of learning it says no time."""


class Stage(Struct, frozen=True, kw_only=True):
    """One stage of the course. ``seconds`` is how long it took, None when it did not come to its end."""

    stage: str
    seconds: float | None
    seed: str
    found: str


class Round(Struct, frozen=True, kw_only=True):
    """One time that the sessions were used up, and what came of it. Seconds are from the first leaked session on."""

    stages: tuple[Stage, ...]
    pattern: str
    severity: str
    way: str
    way_confidence: float
    action: str
    action_confidence: float
    strategies: dict[str, float]
    """The options that the action was chosen from: expected success, best first."""
    looks: tuple[str, ...]
    looks_before_action: bool
    """Whether there were looks and an action, and every look was answered before it."""
    synchronised_with: str
    running_seconds: float | None
    """The longest time from a decision to bring a specialist up until it ran."""
    works_again_seconds: float | None
    """As its customers see it."""
    verified_seconds: float | None
    specialists: tuple[Specialist, ...]


class PoolExhaustion(Report, frozen=True, kw_only=True):
    """Both rounds, and how many lines the database said that it has no session left."""

    lines: int
    rounds: tuple[Round, ...]

    def tables(self) -> tuple[Table, ...]:
        """Return the stages of both rounds, and the specialists of the first."""
        return (
            *(_stages_table(number, one) for number, one in enumerate(self.rounds, 1)),
            _specialists_table(self.rounds[0].specialists if self.rounds else ()),
            Table(title="", columns=("", ""), rows=(("lines that say so", self.lines),)),
        )


def _stages_table(number: int, one: Round) -> Table:
    columns = ("stage", "took", "seed 000", "what came of it")
    rows = tuple((stage.stage, _seconds(stage.seconds), stage.seed, stage.found) for stage in one.stages)
    return Table(title=f"Round {number} of {ROUNDS}: {DB} has no session left", columns=columns, rows=rows)


def _specialists_table(found: Sequence[Specialist]) -> Table:
    columns = ("specialist", "part", "way", "decision to running", "held", "at work", "became")
    rows = tuple(
        (
            one.specialist,
            one.part,
            one.way,
            _seconds(one.start_seconds),
            f"{one.held_seconds:.2f} s",
            f"{one.used_seconds:.2f} s",
            one.state,
        )
        for one in found
    )
    return Table(title="Specialists of round 1", columns=columns, rows=rows)


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.3f} s"


async def run(settings: Settings, display: Display) -> PoolExhaustion:
    """Use up a database's sessions twice, and return what specialists made of it (about a minute)."""
    began = time.monotonic()
    with display:
        async with running(settings, display.phase, POLICY, (DB,)) as lab:
            async with background() as tasks:
                for _ in range(CUSTOMERS):
                    tasks(traffic(lab.site, DB))
                await asyncio.sleep(WARM_UP_S)
                breaks = [await _break(lab, display, number) for number in range(1, ROUNDS + 1)]
            display.phase("waiting until the event log holds it all")
            await archived(lab)
            await let_go(lab)
            with EventLog(lab.settings.data_dir / "log") as log:
                lines, found = _lines(log, breaks[0].injected_ms), specialists(log, lab.seq)
                recorded = recorded_ms(log, lab.seq)
            decisions = list(lab.watch.decisions)
            display.phase("stopping")
    rounds = tuple(_round(one, decisions, recorded, found) for one in breaks)
    return PoolExhaustion(
        scenario="pool-exhaustion",
        seconds=round(time.monotonic() - began, 1),
        claims=_claims(rounds),
        lines=lines,
        rounds=rounds,
    )


class Break(Struct, kw_only=True):
    """One injection: times are milliseconds since 1970, 0 where it did not come to that."""

    injected_ms: int
    after_seq: int
    broken: bool = False
    """Whether customers were not served at some time."""
    works_again_ms: int = 0


async def _break(lab: Lab, display: Display, number: int) -> Break:
    """Let a client take all sessions, and wait until the database is verified to be healed, or for too long."""
    display.phase(f"round {number} of {ROUNDS}: a client leaks sessions of {DB} until there is none left")
    fault = make("sessions", lab.site)
    after_seq = lab.watch.decisions[-1].seq if lab.watch.decisions else lab.seq
    await asyncio.to_thread(fault.inject, "lab")
    found = Break(injected_ms=fault.since_ms, after_seq=after_seq)
    try:
        await see_it_heal(lab.watch, fault, found)
    finally:
        fault.tidy("lab: after the verdict")
    return found


async def see_it_heal(watch: Watch, fault: Fault, found: Break) -> None:
    """Use the database until the incident is over; it works again only after it did not, and after an action."""
    deadline = time.monotonic() + HEALED_S
    while time.monotonic() < deadline:
        after = [one for one in watch.decisions if one.seq > found.after_seq and one.service == DB]
        well = await asyncio.to_thread(fault.is_healthy)
        found.broken = found.broken or not well
        if well and found.broken and not found.works_again_ms and any(one.kind == "commanded" for one in after):
            found.works_again_ms = now_ms()
        if any(one.kind in {"incident_closed", "escalated"} for one in after):
            return
        await asyncio.sleep(LOOK_S)


def _lines(log: EventLog, since_ms: int) -> int:
    """Return how many lines said that there is no session left."""
    sql = "SELECT coalesce(sum(lines), 0) FROM tallies WHERE pattern = $pattern AND epoch_ms(second_at) >= $since"
    return int(log.query(sql, {"pattern": PATTERN, "since": since_ms}).item())


# ------------------------------------------------------------------------------------------------------ what came of it


def _round(
    broken: Break, decisions: Sequence[Decision], recorded: Mapping[str, int], everybody: Sequence[Specialist]
) -> Round:
    """Piece a round together from the decisions on the incident that was opened for it."""
    after = [one for one in decisions if one.seq > broken.after_seq]
    opened = _first(after, "incident_opened")
    about = [one for one in after if opened is not None and one.incident == opened.incident]
    planned, acted = _first(about, "planned"), _first(about, "commanded")
    synchronised, verified = _first(about, "synchronised"), _first(about, "verified")
    members = tuple(one for one in everybody if planned is not None and one.plan == planned.id)
    return Round(
        stages=_stages(broken, about, recorded, members),
        pattern=planned.pattern if planned else "",
        severity=planned.severity if planned else "",
        way=planned.strategy if planned else "",
        way_confidence=planned.confidence if planned else 0.0,
        action=acted.command.action if acted and acted.command else "",
        action_confidence=acted.confidence if acted else 0.0,
        strategies=_strategies(acted),
        looks=tuple(one.reason for one in about if one.kind == "looked"),
        looks_before_action=looks_come_first(about),
        synchronised_with=synchronised.reason if synchronised else "",
        running_seconds=slowest(members),
        works_again_seconds=_since(broken, broken.works_again_ms),
        verified_seconds=_since(broken, verified.append_ms if verified else 0),
        specialists=members,
    )


def _first(decisions: Sequence[Decision], kind: str) -> Decision | None:
    return next((one for one in decisions if one.kind == kind), None)


def looks_come_first(about: Sequence[Decision]) -> bool:
    """Say whether there were looks and an action, and each look had ended before it; the action's check comes later."""
    acted = _first(about, "commanded")
    looks = {one.id for one in about if one.kind == "looked" and not one.reason.startswith("verify ")}
    before = [one for one in about if acted is not None and one.seq < acted.seq]
    ended = {one.refers_to for one in before if one.kind == "command_ended"}
    return bool(looks) and acted is not None and looks <= ended


def _since(broken: Break, moment_ms: int) -> float | None:
    return round((moment_ms - broken.injected_ms) / 1000, 2) if moment_ms else None


def _strategies(acted: Decision | None) -> dict[str, float]:
    options = acted.options if acted is not None else ()
    return {
        f"{one.strategy} ({one.action})": round(one.expected_success, 3)
        for one in sorted(options, key=lambda one: -one.score)
    }


def _stages(
    broken: Break, about: Sequence[Decision], recorded: Mapping[str, int], members: Sequence[Specialist]
) -> tuple[Stage, ...]:
    """Return the five stages of the seed with what happened in each.

    A decision is made when Kafka has it; what it is made from came with its fact (``append_ms``).
    """
    kinds = ("incident_opened", "planned", "commanded", "verified")
    opened, planned, acted, verified = (_first(about, kind) for kind in kinds)
    started = slowest(members)
    synchronised = _first(about, "synchronised")
    said = synchronised.reason if synchronised else "-"
    looks = sum(one.kind == "looked" for one in about)
    moments = {
        "analysis": (broken.injected_ms, opened.append_ms if opened else 0),
        "decision": (opened.append_ms if opened else 0, _at(planned, recorded)),
        "spawn": (_at(planned, recorded), _at(planned, recorded) + round((started or 0.0) * 1000)),
        "execution": (_at(planned, recorded) + round((started or 0.0) * 1000), verified.append_ms if verified else 0),
        "learning": (verified.append_ms if verified else 0, _at(verified, recorded)),
    }
    found = {
        "analysis": _seen(opened),
        "decision": _chosen(planned),
        "spawn": ", ".join(f"{one.specialist} ({one.part})" for one in members),
        "execution": f"{looks} looks: {said}; {_done(acted)}; {_became(broken, verified)}",
        "learning": _learned(planned, acted) if verified else "nothing",
    }
    return tuple(
        Stage(stage=name, seconds=_between(*moments[name]), seed=seed, found=found[name]) for name, seed in SEED.items()
    )


def _at(decision: Decision | None, recorded: Mapping[str, int]) -> int:
    return recorded[decision.id] if decision is not None else 0


def _between(from_ms: int, to_ms: int) -> float | None:
    return (to_ms - from_ms) / 1000 if from_ms and to_ms else None


def _seen(opened: Decision | None) -> str:
    return "" if opened is None else f"{opened.pattern}, {opened.severity}, confidence {opened.confidence:.0%}"


def _chosen(planned: Decision | None) -> str:
    if planned is None:
        return ""
    others = ", ".join(f"{one.strategy} {one.expected_success:.1%}" for one in planned.options)
    return f"{planned.reason}: {planned.strategy}, of {others}"


def _done(acted: Decision | None) -> str:
    if acted is None or acted.command is None:
        return "nothing done"
    return f"{acted.command.action} ({acted.strategy}, {acted.confidence:.1%}, for {acted.reason})"


def _became(broken: Break, verified: Decision | None) -> str:
    again = _since(broken, broken.works_again_ms)
    served = "customers are not served" if again is None else f"customers are served {again:.1f} s after the leak began"
    return f"{served}; {'verified' if verified else 'not verified'}"


def _learned(planned: Decision | None, acted: Decision | None) -> str:
    if planned is None or acted is None or acted.command is None:
        return ""
    return f"one more success of {planned.strategy} and of {acted.command.action}"


def _claims(rounds: Sequence[Round]) -> tuple[Claim, ...]:
    first, last = rounds[0], rounds[-1]
    slow = [one.running_seconds for one in rounds]
    return (
        Claim(
            says=f"the burst of lines is seen as {PATTERN}, critical",
            found=", ".join(f"{one.pattern} {one.severity}" for one in rounds),
            holds=all((one.pattern, one.severity) == (PATTERN, "critical") for one in rounds),
        ),
        Claim(
            says=f"called at once, hierarchical: {', '.join(TEAM)}",
            found=", ".join(f"{one.specialist} ({one.part})" for one in first.specialists),
            holds=all(
                one.way == "hierarchical" and {who.specialist: who.part for who in one.specialists} == TEAM
                for one in rounds
            ),
        ),
        Claim(
            says=RUNNING_CLAIM,
            found=", ".join(_seconds(one) for one in slow),
            holds=all(one is not None and one < RUNNING_SECONDS_MAX for one in slow),
        ),
        Claim(
            says="all looks came back before the action, the primary's first",
            found=first.synchronised_with,
            holds=all(_in_order(one) for one in rounds),
        ),
        Claim(
            says="idle sessions are ended, customers are served again, and that is verified",
            found=", ".join(f"{one.action}, verified after {_seconds(one.verified_seconds)}" for one in rounds),
            holds=all(
                one.action == "process.end_idle_sessions"
                and one.verified_seconds is not None
                and one.works_again_seconds is not None
                for one in rounds
            ),
        ),
        Claim(
            says="all specialists are let go",
            found=", ".join(one.state for each in rounds for one in each.specialists),
            holds=all(let_all_go(each.specialists) for each in rounds),
        ),
        Claim(
            says="what was learned raises the confidence in the action and in the way of working together",
            found=f"{first.action_confidence:.3f} to {last.action_confidence:.3f}, "
            f"{first.way_confidence:.3f} to {last.way_confidence:.3f}",
            holds=last.action_confidence > first.action_confidence and last.way_confidence > first.way_confidence,
        ),
    )


def let_all_go(members: Sequence[Specialist]) -> bool:
    """Say whether there were specialists and each was released; where none was called none was let go."""
    return bool(members) and all(one.state == "released" for one in members)


def _in_order(one: Round) -> bool:
    """Say whether the plan was synchronised with all steps, and the primary looked before its support."""
    primary = [place for place, look in enumerate(one.looks) if look.endswith("database-optimizer-001")]
    support = [place for place, look in enumerate(one.looks) if "-001" in look and place not in primary]
    complete = one.synchronised_with.split(" steps")[0].split(" of ")
    return (
        one.looks_before_action
        and bool(primary)
        and bool(support)
        and max(primary) < min(support)
        and len(complete) == 2
        and len(set(complete)) == 1
    )
