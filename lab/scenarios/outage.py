"""Outage: sixty services depend on one database, and that is killed.

All of them say so, in several ways and most of them before the database's own probes do; what may come of it is one
incident, and one action on the one service that is broken.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from analytics.views import EventLog
from lab import declared
from lab.demo import WARM_UP_S, archived
from lab.display import Display
from lab.inventory import LAB_POLICY
from lab.scenarios import crowd
from lab.scenarios.crowd import Census
from lab.scenarios.frame import Claim, Report, Table
from lab.scenarios.own import break_down
from lab.session import Lab, running
from lab.site import DB
from streams.core.events import Decision
from streams.settings import Settings

BUDGET: Final = 10
"""Actions that the run has, over all services."""
POLICY: Final = replace(
    LAB_POLICY, blast_radius_share=0.5, verify_after_ms=2_000, stay_away_ms=3_000, exploration_rate=0.0
)
HEALED_S: Final = 45.0
LOOK_S: Final = 0.25
ENDED: Final = frozenset(
    {"command_overdue", "verified", "verification_failed", "unverified", "escalated", "incident_closed"}
)


class Outage(Report, frozen=True, kw_only=True):
    """How many services were in trouble, and what was made of it. Shares are of all services of the inventory."""

    services: int
    stand_in: str
    troubled: int
    well_again: int
    incidents: int
    merged: int
    joined: int
    patterns: dict[str, int]
    """Symptoms recorded, by pattern: incidents opened and kinds that joined one."""
    actions: dict[str, int]
    """By service."""
    budget: int
    restarts_counted: int
    """By the sixty services themselves."""
    share_under_way: float
    share_allowed: float
    healed_seconds: float | None
    """From the kill to the last of all services working again, as their customers see it."""

    def tables(self) -> tuple[Table, ...]:
        """Return the figures, one a row."""
        rows = (
            ("services", f"{self.services} (* {self.stand_in})"),
            ("in trouble, well again", f"{self.troubled}, {self.well_again}"),
            ("incidents opened, of these merged", f"{self.incidents}, {self.merged}"),
            ("kinds of symptoms that joined", self.joined),
            ("seen as", ", ".join(f"{name} {count}" for name, count in self.patterns.items())),
            ("actions", ", ".join(f"{name} {count}" for name, count in self.actions.items()) or "none"),
            ("budget", self.budget),
            ("largest share under way", f"{self.share_under_way:.1%} of {self.share_allowed:.0%} allowed"),
            ("all well after", "-" if self.healed_seconds is None else f"{self.healed_seconds:.1f} s"),
        )
        return (Table(title=f"{DB} was killed", columns=("", ""), rows=rows),)


async def run(settings: Settings, display: Display) -> Outage:
    """Kill the database that sixty services depend on, and return what came of it (about 45 s)."""
    began = time.monotonic()
    policy = replace(POLICY, budget_total=_issued_before(settings) + BUDGET)
    with display:
        async with running(settings, display.phase, policy, (DB,), invite=crowd.invited) as lab:
            await asyncio.sleep(WARM_UP_S)
            census = Census(lab.company.specs)
            healed = await _break(lab, display, census)
            well, restarts = await asyncio.to_thread(census.well), await asyncio.to_thread(census.restarts)
            display.phase("waiting until the event log holds it all")
            await archived(lab)
            decisions = list(lab.watch.decisions)
            display.phase("stopping")
    return _report(decisions, census, well, restarts, healed, time.monotonic() - began)


def _issued_before(settings: Settings) -> int:
    """Return the commands that count against this hour's budget already."""
    directory = settings.data_dir / "log"
    if not directory.exists():
        return 0
    sql = """
        SELECT count(*) FROM decisions
        WHERE kind = 'commanded' AND decided_at > (SELECT max(decided_at) FROM decisions) - INTERVAL 1 HOUR
    """
    with EventLog(directory) as log:
        return int(log.query(sql).item())


async def _break(lab: Lab, display: Display, census: Census) -> float | None:
    """Kill the database; return after how many seconds all services worked again, None when they did not in time."""
    display.phase(f"killing {DB}")
    began = time.monotonic()
    await asyncio.to_thread(break_down, lab.site, declared.spec(lab.site, DB), signal.SIGKILL)
    watching = asyncio.create_task(_all_in_trouble(census))
    try:
        await lab.watch.until(lambda decisions: any(_is(one, "commanded") for one in decisions), HEALED_S)
    finally:
        watching.cancel()
    healed = time.monotonic() - began if await _all_well(census) else None
    await lab.watch.until(lambda decisions: any(_is(one, "verified") for one in decisions), HEALED_S)
    return healed


def _is(decision: Decision, kind: str) -> bool:
    return decision.kind == kind and decision.service == DB


async def _all_in_trouble(census: Census) -> None:
    """Count who is in trouble, until cancelled."""
    while True:
        await asyncio.to_thread(census.well)
        await asyncio.sleep(LOOK_S)


async def _all_well(census: Census) -> bool:
    """Wait until all services work; False when that takes too long."""
    deadline = time.monotonic() + HEALED_S
    while not await asyncio.to_thread(census.all_well):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_S)
    return True


def largest_share(decisions: Sequence[Decision], services: int) -> float:
    """Return the largest share of services that had an action under way at one time, from the decisions alone."""
    under_way: set[str] = set()
    largest = 0
    for one in decisions:
        if one.kind == "commanded":
            under_way.add(one.service)
        elif one.kind in ENDED:
            under_way.discard(one.service)
        largest = max(largest, len(under_way))
    return largest / services


def _report(
    decisions: Sequence[Decision], census: Census, well: int, restarts: int, healed: float | None, seconds: float
) -> Outage:
    opened = [one for one in decisions if one.kind == "incident_opened"]
    joined = [one.reason.rpartition(" ")[2] for one in decisions if one.kind == "symptom_joined"]
    merged = sum(one.kind == "incident_merged" for one in decisions)
    actions = Counter(one.service for one in decisions if one.kind == "commanded")
    share = largest_share(decisions, crowd.SIZE + 1)
    return Outage(
        scenario="outage",
        seconds=round(seconds, 1),
        claims=(
            Claim(
                says=f"all {crowd.SIZE} services lose their database, and all work again",
                found=f"{len(census.troubled)} in trouble, {well} work",
                holds=len(census.troubled) == well == crowd.SIZE and healed is not None,
            ),
            Claim(
                says="all their incidents are one, and that is the database's",
                found=f"{len(opened)} opened, {merged} merged",
                holds=len(opened) - merged == 1 and sum(one.service == DB for one in opened) == 1,
            ),
            Claim(
                says="the database alone is acted on; the services themselves count no restart",
                found=f"{dict(actions)}, {restarts} restarts",
                holds=set(actions) == {DB} and restarts == 0,
            ),
            Claim(
                says=f"it takes at most the {BUDGET} actions of the budget",
                found=f"{actions.total()} actions",
                holds=0 < actions.total() <= BUDGET,
            ),
            Claim(
                says=f"at most {POLICY.blast_radius_share:.0%} of the fleet have an action under way at one time",
                found=f"{share:.1%}",
                holds=0 < share <= POLICY.blast_radius_share,
            ),
            Claim(
                says="the database is verified to be healed, and nobody is asked",
                found=", ".join(one.kind for one in decisions if one.service == DB and one.kind in ENDED) or "nothing",
                holds=any(_is(one, "verified") for one in decisions)
                and not any(one.kind == "escalated" for one in decisions),
            ),
        ),
        services=crowd.SIZE + 1,
        stand_in=crowd.STAND_IN,
        troubled=len(census.troubled),
        well_again=well,
        incidents=len(opened),
        merged=merged,
        joined=len(joined),
        patterns=dict(Counter([*(one.pattern for one in opened), *joined]).most_common()),
        actions=dict(actions),
        budget=BUDGET,
        restarts_counted=restarts,
        share_under_way=round(share, 4),
        share_allowed=POLICY.blast_radius_share,
        healed_seconds=None if healed is None else round(healed, 1),
    )
