"""The committed mix, the faults in it, what plays the model, and what a run of it must bear out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from lab import control, furnish
from lab.scenarios import mix
from lab.scenarios.shares import Escalated, Round, Times, Verdict, claims
from lab.scenarios.troubles import TROUBLES
from lab.scenarios.workshop import COMPONENTS, KINDS, Breakage, Workshop
from lab.standins import advisor
from streams.advise.answers import Opinion, read_answer
from streams.advise.brief import ask
from streams.advise.dossier import Template, Tried
from streams.catalogue import strategies
from streams.catalogue.advisors import advisors
from tests.advise.cases import dossier, template

MIX = mix.load()
HARD = [kind for kind in TROUBLES if kind not in KINDS and TROUBLES[kind].heals]
HOPELESS = [kind for kind in TROUBLES if not TROUBLES[kind].heals]
SETTLED_S = 60.0
ARGUMENTS = {"process.fallback": {"switch": "mirror"}, "process.degrade": {"switch": "analysis"}}


# ------------------------------------------------------------------------------------------------------------ the table


def test_the_mix_is_as_it_says() -> None:
    """40 faults on six components: 24 easy, 10 hard, 4 twofold, 2 that nothing helps against; every kind comes."""
    kinds = [kind for course in MIX.course.values() for kind in course]
    assert Counter(MIX.kinds[kind].level for kind in kinds) == {"easy": 24, "hard": 10, "twofold": 4, "unsolvable": 2}
    assert set(kinds) == set(MIX.kinds) == set(TROUBLES)
    assert set(MIX.course) == set(COMPONENTS)


@pytest.mark.parametrize("kind", sorted(MIX.kinds))
def test_what_comes_first_is_what_the_shipped_fixes_name(kind: str) -> None:
    """The surest shipped fix is the first action of the table; it heals what is easy, and nothing else."""
    row = MIX.kinds[kind]
    fixes = [fix for fix in strategies().fixes_for(TROUBLES[kind].pattern, "process") if fix.action == row.first]
    assert fixes
    assert (row.level == "easy") == (row.first == row.heals)
    assert (row.level == "unsolvable") == (row.heals == "")


def test_a_table_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """A kind that there is no fault of ends the run before it begins."""
    path = tmp_path / "mix.toml"
    path.write_text('[kinds]\n[course]\nruntime = ["meteor"]\n')
    with pytest.raises(ValueError, match="meteor"):
        mix.load(path)


# ----------------------------------------------------------------------------------------------------------- the faults


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Serve with all six components, shared by the tests: each leaves them as it found them."""
    made = Workshop()
    company = made.invited(furnish.create(tmp_path_factory.mktemp("mix") / "lab", "testhost", ()))
    try:
        company.start()
        yield made
    finally:
        company.stop()


def broken(workshop: Workshop, kind: str) -> Breakage:
    """Return a fault of a kind, which has been injected."""
    fault = TROUBLES[kind](workshop.components["build_pipeline"], 1)
    assert control.wait(fault.is_healthy, SETTLED_S)
    fault.inject("test")
    assert control.wait(lambda: not fault.is_healthy(), SETTLED_S)
    return fault


def done(fault: Breakage, action: str) -> bool:
    """Carry an action out; whether the component works then."""
    control.act_on(fault.site, fault.component.spec, action, **ARGUMENTS.get(action, {}))
    return control.wait(fault.is_healthy, 3.0)


@pytest.mark.parametrize("kind", HARD)
def test_what_is_hard_is_healed_by_another_action_than_the_first(workshop: Workshop, kind: str) -> None:
    """The first action leaves it broken; what the table says heals it, of two causes after a roll-back."""
    fault, row = broken(workshop, kind), MIX.kinds[kind]
    try:
        assert done(fault, row.first) == (row.level == "easy")
        if row.level == "twofold":
            assert not done(fault, "process.rollback_config")
        assert done(fault, row.heals)
    finally:
        fault.tidy("test")


@pytest.mark.parametrize("kind", HOPELESS)
def test_what_is_unsolvable_is_healed_by_a_person_alone(workshop: Workshop, kind: str) -> None:
    """No action that the inventory allows makes it work; the undo, which is a person's work, does."""
    fault = broken(workshop, kind)
    try:
        allowed = strategies().actions_for(fault.component.spec, fault.pattern)
        tried = [row.id for row in allowed if row.service_type == "process"]
        assert [action for action in tried if done(fault, action)] == []
    finally:
        fault.undo("test")
    assert control.wait(fault.is_healthy, SETTLED_S)


# ------------------------------------------------------------------------------------------------ what plays a model


def said(*lines: Template, tried: tuple[str, ...] = ("process.restart",), **findings: float) -> Opinion:
    """Return what the program answers when it is asked alone, as the product reads it."""
    failed = tuple(Tried(action=action, outcome="failed") for action in tried)
    case = dossier(templates=lines, tried=failed, findings=findings)
    asked = ask(advisors().asked(three=False)[0], case)
    text = f"{asked.prompt.system}\n\n{asked.prompt.user}\n"
    argv = [sys.executable, "-IS", advisor.__file__]
    written = subprocess.run(argv, input=text, capture_output=True, text=True, check=True, cwd="/", env={}).stdout
    read = read_answer(written, asked.allowed)
    assert isinstance(read, Opinion), json.loads(written)
    return read


def test_it_names_what_was_not_tried_and_what_the_case_speaks_for() -> None:
    """After a restart that did not help, a changed configuration speaks for rolling back, and the surer the more."""
    opinions = [said(), said(configuration_changed=1.0)]
    assert [one.action for one in opinions] == ["process.rollback_config"] * 2
    assert opinions[0].confidence < opinions[1].confidence


def test_it_abstains_when_nothing_is_likely_to_help() -> None:
    """Of a program that is not there any more it says that it has no advice."""
    assert said(template("python: can't open file * : No such file or directory")).action == ""
    assert said(tried=("process.restart", "process.rollback_config")).confidence < 0.6


# --------------------------------------------------------------------------------------------------- what is claimed

GOOD = (
    Verdict(level="easy", component="a", healed=True, asked=False),
    Verdict(level="hard", component="b", healed=True, asked=False),
    Verdict(level="unsolvable", component="c", healed=False, asked=True),
)
ASKED = Escalated(
    id=1,
    issue_service="c",
    issue_type="process_crash",
    issue_message="it died",
    lines=2,
    ai_diagnosis="attempts used up",
    ai_attempts_count=3,
    recommended_action="process.restart",
    status="pending",
    votes=("proven_fix for process.restart", "unusual_causes abstained", "root_cause for process.restart"),
)
TOOK = Times(passing=1.0, resolution=0.5, recovery=0.2)


@pytest.mark.parametrize(
    ("verdicts", "found", "took", "calls", "broken"),
    [
        (GOOD, (ASKED,), TOOK, 2, []),
        ((replace(GOOD[0], healed=False), *GOOD[1:]), (ASKED,), TOOK, 2, [0]),
        ((replace(GOOD[0], asked=True), *GOOD[1:]), (ASKED,), TOOK, 2, [0]),
        (GOOD, (ASKED, ASKED), TOOK, 2, [1]),
        (GOOD, (replace(ASKED, issue_service="a"),), TOOK, 2, [1]),
        (GOOD, (), TOOK, 2, [1, 2]),
        (GOOD, (replace(ASKED, votes=ASKED.votes[:1]),), TOOK, 2, [2]),
        (GOOD, (replace(ASKED, recommended_action=None),), TOOK, 2, [2]),
        (GOOD, (replace(ASKED, lines=0),), TOOK, 2, [2]),
        (GOOD, (ASKED,), TOOK, 3, [3]),
        (GOOD, (ASKED,), TOOK, 0, []),
        (GOOD, (ASKED,), Times(passing=11.0, resolution=6.0, recovery=None), 2, [4, 5, 6]),
    ],
)
def test_each_claim_can_fail(
    verdicts: tuple[Verdict, ...], found: tuple[Escalated, ...], took: Times, calls: int, broken: list[int]
) -> None:
    """A fault that stays, a person too many or too few, an escalation without its parts, a call too many, too long."""
    held = [
        one.holds for one in claims(verdicts, found, took, Round(number=2, incidents=10, by_research=0, calls=calls))
    ]
    assert [place for place, holds in enumerate(held) if not holds] == broken
