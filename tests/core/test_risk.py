"""Risk of actions and impact of incidents, and who is asked when an action is too risky."""

from __future__ import annotations

import msgspec
import pytest

from streams.catalogue import strategies
from streams.core.commands import verb_of
from streams.core.config import Inventory, Policy
from streams.core.fleet import Fleet, Reach
from streams.core.risk import Risk, Standing, assess, impact
from tests.core.test_fold import QUICK, a_world, only
from tests.core.world import kinds, spec

TABLE = strategies().risk
ALONE = Standing()


def risk(verb: str, standing: Standing = ALONE, *, reversible: bool = False, blast_radius: str = "service") -> Risk:
    """Return the risk of an action."""
    return assess(TABLE, verb, reversible=reversible, blast_radius=blast_radius, standing=standing)


def test_every_action_that_is_offered_has_its_harm() -> None:
    """No verb of the catalogue is as risky as can be only because its row is missing."""
    assert {verb_of(row.id) for row in strategies().actions} == {row.verb for row in TABLE.harms}


def test_what_no_table_knows_is_as_risky_as_can_be() -> None:
    """An unknown verb has a risk of 1, even when it claims to be reversible."""
    assert risk("reformat", reversible=True).overall == 1.0


def test_what_cannot_be_undone_is_riskier() -> None:
    """The same action is riskier when it is not reversible."""
    assert risk("restart").overall > risk("restart", reversible=True).overall


def test_the_more_depend_on_a_service_the_riskier_it_is_to_interrupt_it() -> None:
    """Each dependent more makes a restart riskier, and a change that interrupts nothing no riskier."""
    crowds = [Standing(reach=Reach(dependents=count)) for count in (0, 1, 10, 60)]
    restarts = [risk("restart", crowd).overall for crowd in crowds]
    assert restarts == sorted(set(restarts))
    assert len({risk("fallback", crowd).overall for crowd in crowds}) == 1


def test_what_is_down_cannot_be_interrupted() -> None:
    """Restarting a database that is down disturbs none of its sixty dependents."""
    down = risk("restart", Standing(reach=Reach(dependents=60), down=True))
    assert (down.blast, down.availability) == (0.0, 0.0)


@pytest.mark.parametrize(("radius", "riskier"), [("none", False), ("service", False), ("host", True), ("?", True)])
def test_an_action_on_the_host_may_reach_its_neighbours(radius: str, riskier: bool) -> None:  # noqa: FBT001  # a table
    """Who shares the host counts for actions that reach it, and for those that do not say how far they reach."""
    crowded = Standing(reach=Reach(neighbours=9))
    assert (risk("kill_blocker", crowded, blast_radius=radius).blast > 0) is riskier


def test_reach_counts_dependents_of_dependents_once() -> None:
    """A database under two services that a gateway needs reaches three services, and all that users see."""
    fleet = Fleet(
        Inventory(
            services=(
                spec("db", owner="data"),
                spec("cart", depends_on=("db",), owner="shop"),
                spec("stock", depends_on=("db",), owner="shop"),
                spec("gate", depends_on=("cart", "stock"), owner="web"),
                spec("mail", host="h2", owner="office"),
            )
        )
    )
    assert fleet.reach("db") == Reach(dependents=3, neighbours=3, users=0.5, business=0.75, technology=0.8)
    assert fleet.reach("gate") == Reach(dependents=0, neighbours=3, users=0.5, business=0.25, technology=0.2)
    assert fleet.reach("nobody") == Reach()


def test_a_protected_dependent_concerns_the_whole_business() -> None:
    """Trouble of what a protected service needs is the business's."""
    fleet = Fleet(Inventory(services=(spec("db", owner="a"), spec("till", depends_on=("db",), protected=True))))
    assert fleet.reach("db").business == 1.0


def test_impact_grows_with_severity() -> None:
    """The same reach means more the worse the incident is."""
    found = [
        impact(TABLE, severity, Reach(users=0.5, business=1.0, technology=0.1))
        for severity in ("warning", "error", "fatal")
    ]
    assert [one["impact_users"] for one in found] == [0.05, 0.2, 0.5]
    assert [one["impact_business"] for one in found] == [0.1, 0.4, 1.0]


def test_a_command_says_its_risk_and_the_impact_of_its_incident() -> None:
    """The dimensions of risk and impact are figures of the decision, and the whole is that of the option."""
    world = a_world("api")
    decided = only(world.detect("api", "process_crash"), "commanded")
    figures = {one.name: one.value for one in decided.figures}
    chosen = next(one for one in decided.options if decided.command and one.action == decided.command.action)
    assert figures["risk"] == chosen.risk > 0
    assert figures["impact_users"] == 0.8
    assert set(Risk.figures(risk("restart"))) <= set(figures)


def test_a_person_is_told_what_an_incident_means() -> None:
    """An escalation has the impact of its incident; of a service that is not in the inventory nothing is said."""
    world = a_world("api", mode="approve")
    request = only(world.detect("api", "process_crash"), "approval_requested")
    told = only(world.answer(request, approved=False), "escalated")
    assert {one.name: one.value for one in told.figures}["impact_technology"] == 0.8
    assert impact(TABLE, "fatal", Reach()) == {}


def test_what_is_too_risky_asks_a_person_in_mode_auto() -> None:
    """An action riskier than the policy's limit becomes a request, with the reason, and runs when approved."""
    world = a_world("api", policy=_policy(0.1))
    request = only(world.detect("api", "process_crash"), "approval_requested")
    assert request.reason == "learned:process.restart, risk 0.19 above 0.1"
    assert kinds(world.answer(request, approved=True)) == ["commanded"]


def test_what_logmend_ships_is_done_without_asking() -> None:
    """By default each action of the catalogue is done automatically on a service that nothing depends on."""
    for row in strategies().actions:
        found = risk(verb_of(row.id), reversible=row.reversible, blast_radius=row.blast_radius)
        assert found.overall <= Policy().risk_auto_max, row.id


def test_stopping_what_many_need_is_asked_for() -> None:
    """By default a service that works, and that twenty depend on, is not stopped without a person."""
    crowded = Standing(reach=Reach(dependents=20))
    assert risk("stop", crowded, reversible=True).overall > Policy().risk_auto_max


def test_a_probe_that_fails_means_down() -> None:
    """A restart after failed probes is less risky than after a line alone."""
    risks = []
    for probed in (False, True):
        world = a_world("api", *(f"web-{number}" for number in range(5)))
        world.apply("inventory", _dependents(5))
        if probed:
            world.probe("api", ok=False)
        decided = only(world.detect("api", "process_crash"), "commanded")
        risks.append({one.name: one.value for one in decided.figures}["risk"])
    assert risks[1] < risks[0]


def _dependents(count: int) -> Inventory:
    return Inventory(services=(spec("api"), *(spec(f"web-{number}", depends_on=("api",)) for number in range(count))))


def _policy(risk_auto_max: float) -> Policy:
    return msgspec.structs.replace(QUICK, risk_auto_max=risk_auto_max)
