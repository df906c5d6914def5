from __future__ import annotations

import json

import pytest

from lab import control
from lab.faults import FAULTS, DatabaseLock, Fault, FaultError, PortTaken, make
from lab.health import wait_until
from lab.site import Site

TELLING = {
    "crash": "Fatal Python error: Segmentation fault",
    "hang": "",
    "port_taken": "Address already in use",
    "database_lock": "sqlite3.OperationalError: database is locked",
    "leak": "MemoryError",
    "configuration": "configuration error",
}

HEALING = {
    "crash": "process.restart",
    "hang": "process.restart",
    "port_taken": "process.kill_blocker",
    "database_lock": "process.kill_blocker",
    "leak": "process.restart",
    "configuration": "process.rollback_config",
}


def test_there_are_six_faults() -> None:
    """The lab has the six faults of the spine, and a telling line (or silence) is known for each."""
    assert set(FAULTS) == set(TELLING)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_breaks_its_service_until_it_is_undone(site: Site, name: str) -> None:
    """The ground truth is false after the injection and stays so, the log tells, and undo makes it true again."""
    fault = make(name, site)
    assert fault.is_healthy()
    fault.inject("test")
    try:
        assert wait_until(site, fault.service, healthy=False, timeout_s=5.0)
        assert control.wait(lambda: TELLING[name] in site.log_file(fault.service).read_text(), 5.0)
        assert not fault.is_healthy()
    finally:
        fault.undo("test")
    assert wait_until(site, fault.service, healthy=True, timeout_s=15.0)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_the_pools_own_action_heals(site: Site, name: str) -> None:
    """The action that the catalogue has for the fault makes the service work again, without undo."""
    fault = make(name, site)
    fault.inject("test")
    assert control.act(site, fault.service, HEALING[name]).ok
    assert wait_until(site, fault.service, healthy=True, timeout_s=15.0)
    fault.tidy()
    assert "undo" not in site.journal.read_text()


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


@pytest.mark.parametrize("kind", [PortTaken, DatabaseLock])
def test_what_heals_a_rogue_fault_is_the_end_of_the_rogue(site: Site, kind: type[PortTaken | DatabaseLock]) -> None:
    """A restart alone does not help while the rogue process lives; once it is killed, a start does."""
    fault = kind(site)
    fault.inject("test")
    assert fault._rogue is not None
    control.stop(site, fault.service)
    control.start(site, fault.service)
    assert not wait_until(site, fault.service, healthy=True, timeout_s=1.0)
    fault._rogue.kill()
    control.stop(site, fault.service)
    control.start(site, fault.service)
    assert wait_until(site, fault.service, healthy=True, timeout_s=15.0)
    fault.undo("test")


def test_a_service_that_is_down_cannot_be_broken(site: Site) -> None:
    """Injecting into a service that does not run says so instead of counting as a fault."""
    fault: Fault = make("crash", site)
    control.stop(site, fault.service)
    with pytest.raises(FaultError, match="does not run"):
        fault.inject("test")


def test_an_unknown_fault_is_named_with_those_there_are(site: Site) -> None:
    """A wrong name ends in one line that lists the right ones."""
    with pytest.raises(FaultError, match="no fault is called 'flood'; there are crash, hang"):
        make("flood", site)
