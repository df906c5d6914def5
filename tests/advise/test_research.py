"""What research finds in the event log, and when it is sure enough to answer itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.advise.answers import Opinion
from streams.advise.dossier import Dossier, Fix, Past, Tried
from streams.advise.past import Present, Step, past_of
from streams.advise.research import Research, conclude, relations_of, signs_of
from streams.catalogue.advisors import advisors
from streams.catalogue.patterns import patterns
from streams.catalogue.runbooks import runbook, runbooks
from streams.core.choosing import worth_doing
from streams.core.config import Inventory
from streams.core.events import Decision
from streams.core.fleet import Fleet
from streams.core.inventory import ServiceSpec
from streams.ingest.masking import mask
from tests.advise.cases import START_MS, dossier, question, symptom, trouble
from tests.analytics.archive import archive
from tests.analytics.history import History

PROVEN, UNUSUAL, ROOT = advisors().advisors


# ------------------------------------------------------------------------------------------------------- from the log


@pytest.fixture
def history() -> History:
    """Return a fleet in which two incidents were healed, and a third one's first fix failed."""
    made = History()
    made.begin()
    made.heal("shop")
    made.heal("cart", "database_lock")
    made.see("shop", "process_crash", count=40)
    made.log.now_ms += 4_000
    made.outcome(next(one for one in reversed(made.commands) if one.service == "shop"), ok=False)
    made.see("cart", "database_lock")
    made.calm("mail", 60)
    return made


@pytest.fixture
async def research(history: History, tmp_path: Path) -> Research:
    """Return research in the archive of that history."""
    return Research(await archive(history, tmp_path), lambda text: mask(text.encode()).decode())


@pytest.fixture
def asked(history: History) -> Decision:
    """Return a decision on the shop's open incident, with options, as a question would be."""
    return next(one for one in reversed(history.decisions) if one.service == "shop" and one.options and one.incident)


@pytest.fixture
def found(research: Research, asked: Decision) -> Iterator[Dossier]:
    """Return what research finds."""
    yield research.dossier(asked)
    research.close()


def test_the_incident_is_told_as_it_was(found: Dossier) -> None:
    """Symptoms, what was tried with its end, and the time it is open come from the incident's own decisions."""
    assert [(one.service, one.pattern, one.seconds) for one in found.symptoms] == [("shop", "process_crash", 0)]
    assert found.tried[0] == Tried(action="process.restart", outcome="done failed exit_1")
    assert found.failed == {"process.restart": len([one for one in found.tried if one.failed])}
    assert found.minutes_open > 0.0
    assert found.service_type == "process"


def test_lines_are_told_as_templates(found: Dossier) -> None:
    """Lines of the service come first, as what is left of them without numbers, with how many of ten minutes."""
    first = found.templates[0]
    assert (first.service, first.text, first.lines) == ("shop", "shop broke: process_crash at *", 42)
    assert {one.service for one in found.templates} == {"shop", "cart"}
    assert not any(character.isdigit() for one in found.templates for character in one.text)


def test_neighbours_troubles_are_found(found: Dossier) -> None:
    """An incident of a service on the same host that is open is told with how long after it began."""
    (other,) = [one for one in found.neighbours if one.service == "cart" and one.is_open]
    assert (other.kind, other.what, other.relation, other.seconds) == ("incident_opened", "database_lock", "host", 4)
    assert any(one.service == "cart" and not one.is_open for one in found.neighbours)


def test_records_and_past_incidents_are_found(found: Dossier) -> None:
    """Verified outcomes of the pattern on the type of service, and incidents like it with what ended them."""
    (fix,) = found.fixes
    assert (fix.action, fix.successes) == ("process.restart", 1)
    best = found.past[0]
    assert (best.service, best.ended, best.healed_by) == ("shop", "healed", "process.restart")
    assert best.similarity > 0.8
    assert "recurring" in found.signs


def test_the_inventory_is_that_of_the_question(research: Research, asked: Decision, found: Dossier) -> None:
    """Who is on the host is what the log says was in force then."""
    assert "cart" in relations_of("shop", research._fleet_of(asked), ())
    assert found.question.inventory_sha256


# -------------------------------------------------------------------------------------------------------- conclusions


def said(advisor_case: Dossier) -> Opinion:
    """Return what research makes of a case on behalf of who trusts records."""
    return conclude(PROVEN, advisor_case).opinion


def fix(action: str, successes: int, failures: int = 0) -> Fix:
    """Return what is recorded of an action."""
    return Fix(action=action, successes=successes, failures=failures, confidence=0.5)


def test_nothing_known_is_not_sure() -> None:
    """Without records, no advisor's research is sure of anything."""
    assert all(conclude(one, dossier()).opinion.confidence < 0.5 for one in advisors().advisors)


def test_records_make_sure() -> None:
    """The more often an action helped, the surer, and failures take it back."""
    known = [said(dossier(fixes=(fix("process.rollback_config", times),))).confidence for times in (1, 4, 16)]
    assert known == sorted(known)
    assert known[-1] > 0.7
    assert said(dossier(fixes=(fix("process.rollback_config", 16, 16),))).confidence < known[-1] - 0.2


def test_what_failed_a_minute_ago_gives_way() -> None:
    """Of an action that failed in this incident, successes elsewhere say less."""
    fixes = (fix("process.restart", 30), fix("process.rollback_config", 3))
    assert said(dossier(fixes=fixes)).action == "process.restart"
    tried = (Tried(action="process.restart", outcome="the symptom came back"),) * 2
    assert said(dossier(fixes=fixes, tried=tried)).action == "process.rollback_config"


def past(healed_by: str, similarity: float = 0.9, **fields: bool) -> Past:
    """Return a past incident."""
    return Past(
        service="shop", similarity=similarity, ended="healed", healed_by=healed_by, failed=(), days_ago=3.0, **fields
    )


def test_a_precedent_says_more() -> None:
    """One incident in which the same had failed says more than one in which it had not, and an unlike one nothing."""
    case = dossier()
    likes = [
        past("process.rollback_config", 0.5),
        past("process.rollback_config"),
        past("process.rollback_config", is_precedent=True),
    ]
    confidences = []
    for one in likes:
        case = dossier(past=(one,), tried=(Tried(action="process.restart", outcome="x"),))
        confidences.append(said(case).confidence)
    assert confidences == sorted(set(confidences))
    assert confidences[0] == said(dossier(tried=case.tried)).confidence


def test_the_same_events_are_not_counted_twice() -> None:
    """A healed incident is a verified outcome too: together they say no more than the one that says more."""
    both = dossier(fixes=(fix("process.rollback_config", 4),), past=(past("process.rollback_config"),))
    assert said(both).confidence == said(dossier(fixes=both.fixes)).confidence


def test_a_runbooks_step_waits_for_its_sign() -> None:
    """A step that is for what recurs counts only where it does."""
    calm = conclude(ROOT, dossier(fixes=(fix("process.rollback_config", 2),))).opinion
    seen = conclude(ROOT, dossier(fixes=(fix("process.rollback_config", 2),), signs=frozenset({"recurring"}))).opinion
    assert calm.confidence < seen.confidence


def test_a_symptom_is_told_from_its_cause() -> None:
    """The first open trouble upstream is held for the origin; a dependent's, a later or a closed one is not."""
    upstream = dossier(neighbours=(trouble("db", seconds=-4), trouble("disk", seconds=-9), trouble("web", "dependent")))
    assert (said(upstream).suspect, said(upstream).cause) == ("disk", "disk_full")
    own = dossier(neighbours=(trouble("db", seconds=60), trouble("db", is_open=False), trouble("web", "host")))
    assert (said(own).suspect, said(own).cause) == ("shop", "process_crash")


def test_without_an_option_there_is_no_opinion() -> None:
    """Where nothing may be chosen, research has no action, and no confidence."""
    nothing = said(dossier(question(options=())))
    assert (nothing.action, nothing.confidence) == ("", 0.0)


# ---------------------------------------------------------------------------------------------- relations and signs


def test_the_nearest_relation_counts() -> None:
    """A dependency on the same host is a dependency; what has no entry has itself only."""
    specs = (
        ServiceSpec(name="web", host="h1", depends_on=("api",)),
        ServiceSpec(name="api", host="h2", depends_on=("db",)),
        ServiceSpec(name="db", host="h2"),
        ServiceSpec(name="mail", host="h2"),
    )
    near = relations_of("api", Fleet(Inventory(services=specs)), ("mail", "queue"))
    assert near == {
        "api": "self",
        "db": "dependency",
        "web": "dependent",
        "mail": "tied",
        "queue": "tied",
        "h2": "host",
    }
    assert relations_of("stranger", Fleet(Inventory(services=specs)), ()) == {"stranger": "self"}


@pytest.mark.parametrize(
    ("troubles", "sign"),
    [
        ([trouble("db")], "dependency_troubled"),
        ([trouble("a", "tied")], "dependency_troubled"),
        ([trouble("a", "host"), trouble("b", "host")], "host_troubled"),
        ([trouble("shop", "self", kind="exhaustion_expected")], "resource_short"),
        ([trouble("shop", "self", kind="alerted", severity="error")], "resource_short"),
        ([trouble("shop", "self", kind="alerted", severity="warning")], ""),
        ([trouble("db", is_open=False)], ""),
        ([trouble("a", "host"), trouble("a", "host")], ""),
        ([], ""),
    ],
)
def test_signs_are_what_is_seen(troubles: list[object], sign: str) -> None:
    """Each sign of the runbooks is seen by what the catalogue says, and only then."""
    assert signs_of(question(), troubles, (), ()) == ({sign} if sign else set())  # type: ignore[arg-type]  # as parametrized


def test_the_same_again_is_a_sign() -> None:
    """A failure in the incident, or the same service healed within a day, is a recurrence; longer ago it is none."""
    assert signs_of(question(), (), (), (Tried(action="a", outcome="failed"),)) == {"recurring"}
    lately = past("process.restart")
    assert signs_of(question(), (), (lately,), ()) == set()


# ------------------------------------------------------------------------------------------------------------- past


def step(incident: str, kind: str, **fields: str) -> Step:
    """Return one step of a past incident."""
    values = {"id": f"{incident}-{kind}", "reason": "", "service": "shop", "pattern": "process_crash", "action": ""}
    return Step(
        incident=incident, kind=kind, append_ms=START_MS, **{**values, "service_type": "", "refers_to": "", **fields}
    )


def test_an_incident_is_most_similar_to_itself() -> None:
    """Equal in pattern, service, type, symptoms and failures is 1; another service and type are less."""
    opened = step("1", "incident_opened")
    acted = step("1", "commanded", action="process.restart", service_type="process")
    failed = step("1", "verification_failed", refers_to=acted.id)
    helped = step("1", "commanded", id="x", action="process.start", service_type="process")
    closed = [step("1", "verified", refers_to="x"), step("1", "incident_closed", reason="healed")]
    present = Present(
        question=question(), service_type="process", symptoms=(symptom("shop"),), failed=frozenset({"process.restart"})
    )
    (same,) = past_of([opened, acted, failed, helped, *closed], present)
    assert (same.similarity, same.is_precedent, same.healed_by) == (1.0, True, "process.start")
    (other,) = past_of([step("2", "incident_opened", service="mail"), step("2", "escalated", reason="stuck")], present)
    assert other.similarity < 0.7
    assert (other.is_precedent, other.ended, other.healed_by) == (False, "stuck", "")


def test_what_a_person_did_ended_it() -> None:
    """How somebody resolved an escalation is what ended the incident."""
    steps = [
        step("1", "incident_opened"),
        step("1", "escalated", reason="attempts used up"),
        step("1", "escalation_resolved", reason="process.rollback_config"),
    ]
    present = Present(question=question(), service_type="process", symptoms=(), failed=frozenset())
    (found,) = past_of(steps, present)
    assert (found.ended, found.healed_by) == ("resolved by a person", "process.rollback_config")


# ---------------------------------------------------------------------------------------------------------- catalogue


def test_there_is_a_runbook_for_each_pattern() -> None:
    """Each shipped pattern has a cause, questions that tell causes apart, and a first step that needs no sign."""
    assert runbooks().keys() == {rule.id for rule in patterns().rules}
    for book in runbooks().values():
        assert book.cause
        assert len(book.look) >= 2
        assert any(not one.signs for one in book.steps)
    assert runbook("my_own_pattern").steps == ()


def test_choices_are_worth_something() -> None:
    """What is barred, a person's help, and what promises less than it costs are no choices; the best come first."""
    assert [one.action for one in worth_doing(question().options)] == ["process.restart", "process.rollback_config"]
