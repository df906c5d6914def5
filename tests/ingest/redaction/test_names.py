"""Names come from what producers send, so they may hold secrets too: those are refused, or tagged."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.ingest.given import Given, cut, slicer
from tests.ingest.redaction import corpus
from tests.ingest.redaction.test_corpus import RECALL_MIN, stored

Sends = Callable[[str, int], Given]


def _service(name: str, offset: int) -> Given:
    return Given(json.dumps({"ts": 1, "service": name, "level": "error", "message": "it broke"}).encode(), offset)


def _host(name: str, offset: int) -> Given:
    return Given(json.dumps({"ts": 1, "service": "shop", "host": name, "message": "disk full"}).encode(), offset)


def _container(name: str, offset: int) -> Given:
    return Given(json.dumps({"kubernetes": {"container_name": name}, "log": "ERROR it broke"}).encode(), offset)


def _key(name: str, offset: int) -> Given:
    return Given(b"2026-11-21 10:00:00 ERROR it broke", offset, key=name.encode())


def _header(name: str, offset: int) -> Given:
    headers = (("service", name.encode()), ("host", name.encode()))
    return Given(b"2026-11-21 10:00:00 ERROR it broke", offset, headers=headers)


def _file(name: str, offset: int) -> Given:
    return Given(json.dumps({"file": f"/var/log/{name}.log", "message": "ERROR it broke"}).encode(), offset)


def _syslog(name: str, offset: int) -> Given:
    return Given(f"<11>Nov 21 10:00:00 {name} {name}: error: it broke".encode(), offset)


def _metric(name: str, offset: int) -> Given:
    point = {"ts": 1_709_294_400, "service": name, "host": name, "metric": "cpu", "value": 7}
    return Given(json.dumps(point).encode(), offset, topic="metrics")


PLACES: tuple[Sends, ...] = (_service, _host, _container, _key, _header, _file, _syslog, _metric)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__.strip("_"))
def test_names_hold_no_secret(place: Sends) -> None:
    """With every line of the corpus sent as a name, 99 of 100 secrets are in nothing that is stored."""
    by = slicer()
    cases = corpus.whole()
    left = [case for offset, case in enumerate(cases) if case.left_in(stored(cut(place(case.line, offset), by=by)))]
    assert len(left) <= (1 - RECALL_MIN) * len(cases), [case.line[:150] for case in left]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("amqp://orders:hunter2x@mq-1/", "logs"), ("password=hunter2x", "logs"), ("shop-api", "shop-api")],
)
def test_a_service_with_a_secret_has_no_name(name: str, shown: str) -> None:
    """A name with a secret is none: the next rule names the service, in the end the topic."""
    (piece,) = cut(_service(name, 0)).slices
    assert [detection.service for detection in piece.detections] == [shown]


def test_an_address_as_host_is_a_tag() -> None:
    """A host that is an address may hold a password that was cut off: it is shown as a tag, always the same."""
    first, second = (cut(_host("amqp://orders:" + "x" * 200, offset)).evidence for offset in (0, 1))
    assert len(first) == len(second) == 1
    hosts = {d.host for offset in (0, 1) for d in cut(_host("amqp://orders:" + "x" * 200, offset)).slices[0].detections}
    assert len(hosts) == 1
    assert hosts.pop().startswith("[name:")
