from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import control, furnish
from lab.scenarios.workshop import COMPONENTS, KINDS, STORE_OF, Breakage, StoreFull, Workshop
from lab.services.component import LOGS
from streams.catalogue.patterns import patterns
from streams.ingest import matcher
from streams.ingest.classifying import Classifier

ARGUMENTS = {"process.fallback": {"switch": "mirror"}, "process.degrade": {"switch": "analysis"}}
SETTLED_S = 60.0


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Serve with all six components, shared by the tests: each leaves them as it found them."""
    made = Workshop()
    company = made.invited(furnish.create(tmp_path_factory.mktemp("workshop") / "lab", "testhost", ()))
    try:
        company.start()
        yield made
    finally:
        company.stop()


def broken(workshop: Workshop, kind: str) -> Breakage:
    """Return a breakage of a kind, which has been injected."""
    name = STORE_OF if kind == StoreFull.kind else "shader_pipeline"
    breakage = KINDS[kind](workshop.components[name], 1)
    assert control.wait(breakage.is_healthy, SETTLED_S)
    breakage.inject("test")
    assert control.wait(lambda: not breakage.is_healthy(), SETTLED_S)
    return breakage


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_fix_heals_a_breakage_that_stays_otherwise(workshop: Workshop, kind: str) -> None:
    """A broken component does no jobs in time; the action that the shipped fixes name makes it work again."""
    breakage = broken(workshop, kind)
    try:
        assert not breakage.is_healthy()
        spec, action = breakage.component.spec, breakage.heals
        assert control.act_on(breakage.site, spec, action, **ARGUMENTS.get(action, {})).ok
        assert control.wait(breakage.is_healthy, SETTLED_S)
    finally:
        breakage.tidy("test")
    assert breakage.is_healthy()


@pytest.mark.parametrize("kind", KINDS)
def test_a_breakage_can_be_undone(workshop: Workshop, kind: str) -> None:
    """What was broken works again after its undo, without any action of Logmend."""
    breakage = broken(workshop, kind)
    breakage.undo("test")
    assert control.wait(breakage.is_healthy, SETTLED_S)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != StoreFull.kind])
def test_a_component_says_in_its_log_what_it_suffers_from(workshop: Workshop, kind: str) -> None:
    """A line that the component logs after it was broken matches the pattern of the breakage."""
    component = workshop.components["shader_pipeline"]
    log, classifier = Path(component.spec.log_file), Classifier(matcher.shipped())
    before = log.stat().st_size

    def said() -> bool:
        component.works()  # who suffers says so when a job is wanted
        return kind in {classifier.classify(line).pattern for line in log.read_bytes()[before:].split(b"\n")}

    breakage = broken(workshop, kind)
    try:
        assert control.wait(said, SETTLED_S)
    finally:
        breakage.undo("test")
    assert control.wait(breakage.is_healthy, SETTLED_S)


def test_every_component_logs_in_a_way_of_its_own() -> None:
    """The six components of the seed each have a style, no two the same."""
    assert set(LOGS) == set(COMPONENTS)
    assert len({style for style, _ in LOGS.values()}) == len(COMPONENTS)


def test_breakages_are_of_shipped_patterns() -> None:
    """Each kind is a pattern of the catalogue, of the category that it says."""
    categories = {rule.id: rule.category for rule in patterns().rules}
    assert {kind: one.category for kind, one in KINDS.items()} == {kind: categories[kind] for kind in KINDS}
