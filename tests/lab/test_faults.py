from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import control, declared
from lab.faults import DEMO_FAULTS, FAULTS, Fault, FaultError, make
from lab.faults.limits import DatabaseLock, Sessions
from lab.faults.processes import PortTaken
from lab.health import wait_until
from lab.site import Site
from streams.catalogue import strategies
from streams.catalogue.patterns import patterns
from streams.core.config import Inventory, check
from streams.core.sending import arguments_for
from streams.ingest.classifying import Classifier
from streams.ingest.matcher import shipped

SEEN_BY_PROBES = {"hang"}
"""What logs nothing: only a probe shows it."""


@contextmanager
def broken(fault: Fault) -> Iterator[None]:
    """Break a service, see that it is broken, and leave it mended whatever happens."""
    assert fault.is_healthy()
    fault.inject("test")
    try:
        assert control.wait(lambda: not fault.is_healthy(), 5.0)
        yield
    finally:
        fault.undo("test")
        assert control.wait(fault.is_healthy, 15.0)


def patterns_in(site: Site, service: str, start: int) -> set[str]:
    """Return the patterns of a service's log from a position on, as detection sees its lines."""
    classify = Classifier(shipped()).classify
    lines = site.log_file(service).read_bytes()[start:].splitlines()
    return {verdict.pattern for verdict in map(classify, lines)}


def test_there_is_a_fault_for_each_pattern() -> None:
    """Each of the catalogue's patterns has exactly one fault; the demo's six have the names that they always had."""
    assert sorted(fault.pattern for fault in FAULTS.values()) == sorted(rule.id for rule in patterns().rules)
    assert DEMO_FAULTS == ("crash", "hang", "port_taken", "database_lock", "leak", "configuration")


def test_the_inventory_is_valid(whole: Site) -> None:
    """What the lab applies passes the fold's own checks."""
    check(Inventory(services=declared.specs(whole)))


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_breaks_its_service_until_it_is_undone(whole: Site, name: str) -> None:
    """The ground truth is false after the injection and stays so, the log shows the pattern, and undo mends it."""
    fault = make(name, whole)
    start = whole.log_file(fault.service).stat().st_size
    with broken(fault):
        assert not fault.is_healthy()
        wanted = set() if name in SEEN_BY_PROBES else {fault.pattern}
        assert control.wait(lambda: wanted <= patterns_in(whole, fault.service, start), 5.0)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_the_pools_own_action_heals(whole: Site, name: str) -> None:
    """The action that the fault names makes the service work again, without undo."""
    fault = make(name, whole)
    spec = declared.spec(whole, fault.acted_on())
    with broken(fault):
        arguments = {one.name: one.value for one in arguments_for(fault.heals, spec, fault.pattern)}
        result = control.act(whole, fault.acted_on(), fault.heals, **arguments)
        assert result.ok, result
        assert control.wait(fault.is_healthy, 15.0)
        fault.tidy("test")
        assert "undo" not in whole.journal.read_text().splitlines()[-1]


@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"refused"}))
def test_the_healing_action_is_a_shipped_fix(whole: Site, name: str) -> None:
    """What heals a fault stands in the catalogue for its pattern, and the service has all that it requires."""
    fault = make(name, whole)
    spec = declared.spec(whole, fault.acted_on())
    fixes = {fix.action for fix in strategies().fixes_for(fault.pattern, spec.type)}
    possible = {row.id for row in strategies().actions_for(spec, fault.pattern)}
    assert fault.heals in fixes & possible


def test_every_injection_and_undo_is_on_record(site: Site) -> None:
    """The journal names each injection and each undo with its caller, in order."""
    fault = make("database_lock", site)
    fault.inject("the demo")
    fault.undo("the end of the run")
    entries = [json.loads(line) for line in site.journal.read_text().splitlines()]
    assert [(entry["what"], entry["fault"], entry["caller"]) for entry in entries] == [
        ("inject", "database_lock", "the demo"),
        ("undo", "database_lock", "the end of the run"),
    ]


def test_what_is_set_back_after_the_verdict_is_on_record(whole: Site) -> None:
    """A switch that an action moved is turned back by the lab, and the journal says so."""
    fault = make("disk_failure", whole)
    fault.inject("test")
    assert control.act(whole, fault.service, fault.heals, switch="upstream").ok
    fault.tidy("after the verdict")
    entry = json.loads(whole.journal.read_text().splitlines()[-1])
    assert (entry["what"], entry["caller"]) == ("set back", "after the verdict")
    assert fault.is_healthy()


@pytest.mark.parametrize("kind", [PortTaken, DatabaseLock, Sessions])
def test_what_heals_a_rogue_fault_is_the_end_of_the_rogue(
    whole: Site, kind: type[PortTaken | DatabaseLock | Sessions]
) -> None:
    """While the rogue process lives the service does not work; once it is killed, a start is enough."""
    fault = kind(whole)
    fault.inject("test")
    assert fault._rogue is not None
    control.start(whole, fault.service)
    assert not wait_until(whole, fault.service, healthy=True, timeout_s=1.0)
    fault._rogue.kill()
    control.start(whole, fault.service)
    assert wait_until(whole, fault.service, healthy=True, timeout_s=60.0)
    fault.undo("test")


def test_a_service_that_is_down_cannot_be_broken(site: Site) -> None:
    """Injecting into a service that does not run says so instead of counting as a fault."""
    fault: Fault = make("crash", site)
    control.stop(site, fault.service)
    with pytest.raises(FaultError, match="does not run"):
        fault.inject("test")


def test_an_unknown_fault_is_named_with_those_there_are(whole: Site) -> None:
    """A wrong name ends in one line that lists the right ones."""
    with pytest.raises(FaultError, match="no fault is called 'flood'; there are crash, hang"):
        make("flood", whole)
