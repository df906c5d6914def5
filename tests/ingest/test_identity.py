from __future__ import annotations

import pytest

from streams.ingest import identity


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("web-01", "web-01"),
        ("checkout-7d4b9c6f5d-x2x9k", "checkout"),
        ("shop.db.pool", "shop.db.pool"),
        ("nginx[33]", "nginx"),
        ("  pay\n", "pay"),
        ("x" * 500, "x" * identity.NAME_MAX),
    ],
)
def test_declared(name: str, wanted: str) -> None:
    """A name from a service field is kept, but for a pod's hash and a process id."""
    assert identity.declared(name) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("neutron-l3-agent[1825155]", "neutron-l3-agent"),
        ("mongod.37017[17873]", "mongod"),
        ("postgres-0", "postgres"),
        ("/shop-web-1", "shop-web"),
        ("web-7d4b9c6f5d-x2x9k", "web"),
        ("ceph-osd@3.service", "ceph-osd"),
        ("osd.12", "osd"),
        ("7", "7"),
    ],
)
def test_derived(name: str, wanted: str) -> None:
    """A name that a machine made loses what changes with every start, and never becomes empty."""
    assert identity.derived(name) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/var/log/nova/nova-api.log.1", "nova-api"),
        ("C:\\logs\\pay.log", "pay"),
        ("app.log-20240101", "app"),
        ("syslog", "syslog"),
    ],
)
def test_of_file(path: str, wanted: str) -> None:
    """A log file's stem is its name without directory, ending and rotation."""
    assert identity.of_file(path) == wanted
