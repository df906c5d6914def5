from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner

from lab import scenarios
from lab.display import Display, Silent
from lab.scenarios import flapping, outage, pool_exhaustion, toolchain
from lab.scenarios.frame import Claim, Report
from lab.scenarios.outage import largest_share
from lab.scenarios.teams import RUNNING_CLAIM
from streams.cli.running import lab
from streams.core.config import Inventory, Policy
from streams.core.teams import WAYS
from streams.settings import Settings
from tests.core.world import World, spec

SMALL = toolchain.Extent(
    course={
        "versioning": (toolchain.STORE,),
        "build_pipeline": (toolchain.MIRROR,),
        "shader_pipeline": (toolchain.FILES,),
        "runtime": (toolchain.DAMAGED,),
    },
    storm_seconds=1,
    errors=6,
)


def report(*holds: bool) -> Report:
    """Return a report of which some claims hold."""
    claims = tuple(Claim(says=f"claim {number}", found="something", holds=held) for number, held in enumerate(holds, 1))
    return Report(scenario="made up", seconds=1.0, claims=claims)


def claims(found: Report) -> dict[str, str]:
    """Return what was found where a claim does not hold."""
    return {claim.says: claim.found for claim in found.claims if not claim.holds}


@pytest.mark.broker
def test_a_flapping_service_ends_with_a_person(broker: Settings) -> None:
    """A real service that crashes after each healing: doubling back-off, three attempts, one question, the breaker."""
    found = asyncio.run(flapping.run(broker, Silent()))
    assert claims(found) == {}
    assert [one.became for one in found.attempts] == ["verified", "verification_failed", "verification_failed"]


@pytest.mark.broker
def test_an_outage_of_sixty_services_is_one_incident_and_one_action(broker: Settings) -> None:
    """A real database is killed that sixty services depend on: it is restarted, and no other is touched."""
    found = asyncio.run(outage.run(broker, Silent()))
    assert claims(found) == {}
    assert (found.troubled, found.well_again, found.actions) == (60, 60, {"shop-db": 1})
    assert found.merged > 0


@pytest.mark.broker
def test_specialists_heal_a_database_without_sessions(broker: Settings) -> None:
    """A client leaks all sessions of a real database, twice: three specialists, hierarchical, and something learned."""
    found = asyncio.run(pool_exhaustion.run(broker, Silent()))
    assert claims(found).keys() <= {RUNNING_CLAIM}  # how fast, says the scenario itself
    assert [[stage.stage for stage in one.stages if stage.seconds is None] for one in found.rounds] == [[], []]
    assert found.lines > 0


@pytest.mark.broker
def test_specialists_work_together_in_all_four_ways(broker: Settings) -> None:
    """Four of a toolchain's components break, each in a way that calls for another coordination, and all are healed."""
    found = asyncio.run(toolchain.run(broker, Silent(), SMALL))
    assert claims(found).keys() <= {RUNNING_CLAIM, toolchain.FIGURES_CLAIM}
    assert {one.way: (one.plans, one.verified) for one in found.ways} == dict.fromkeys(WAYS, (1, 1))
    assert {one.kind: one.kind in one.seen for one in found.breakdowns} == dict.fromkeys(found_kinds(SMALL), True)
    assert (found.storm.shipped, found.storm.counted) == (1_000, 1_000)


def found_kinds(extent: toolchain.Extent) -> list[str]:
    """Return the kinds of all breakages of a run."""
    return [kind for kinds in extent.course.values() for kind in kinds]


def test_a_report_is_good_when_there_are_claims_and_all_hold() -> None:
    """One claim that does not hold is enough to fail a scenario, and so is none at all."""
    assert [report(*holds).ok for holds in ((True, True), (True, False), ())] == [True, False, False]


def played(monkeypatch: pytest.MonkeyPatch, *arguments: str, holds: bool = True) -> Any:
    """Run ``logmend lab`` with one scenario that does nothing but report."""

    async def run(settings: Settings, display: Display) -> Report:
        return report(holds)

    monkeypatch.setitem(scenarios.SCENARIOS, "flapping", run)
    return CliRunner().invoke(lab, ["--scenario", "flapping", *arguments])


@pytest.mark.parametrize("holds", [True, False])
def test_the_exit_status_says_whether_all_claims_hold(monkeypatch: pytest.MonkeyPatch, *, holds: bool) -> None:
    """0 when all claims of a scenario hold, 1 when one does not; JSON has the verdict as well."""
    done = played(monkeypatch, "--json", holds=holds)
    assert done.exit_code == (0 if holds else 1)
    assert json.loads(done.stdout) == {
        "ok": holds,
        "scenario": "made up",
        "seconds": 1.0,
        "claims": [{"says": "claim 1", "found": "something", "holds": holds}],
    }


def test_a_claim_that_does_not_hold_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """People are told which claim does not hold, with what was found instead."""
    said = played(monkeypatch, holds=False).stdout
    assert "claim 1  something  DOES NOT HOLD" in said
    assert "0 of 1 claims hold" in said


@pytest.mark.parametrize("option", [("--fault", "crash"), ("--runs", "2"), ("--control",), ("--halted",)])
def test_a_scenario_takes_no_fault(monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...]) -> None:
    """What belongs to measurements of faults is refused beside a scenario, as wrong usage."""
    done = played(monkeypatch, *option)
    assert done.exit_code == 2
    assert "a scenario takes neither" in done.stderr


def test_the_largest_share_under_way_is_counted_from_the_decisions() -> None:
    """Two of four services are acted on at one time; a failed action, a verified one or an overdue one is over."""
    world = World()
    world.apply("policy", Policy(blast_radius_share=0.5, exploration_rate=0.0))
    world.apply("inventory", Inventory(services=tuple(spec(name) for name in "abcd")))
    for service in "abcd":
        world.detect(service, "process_crash")
    assert largest_share(world.decisions, 4) == 0.5
    world.wait(400)
    assert sum(one.kind == "commanded" for one in world.decisions) > 2
    assert largest_share(world.decisions, 4) == 0.5
