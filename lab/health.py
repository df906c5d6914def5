"""The ground truth: whether a service really works, found out by using it, with nothing of Logmend in between."""

from __future__ import annotations

import http.client
import json
import sqlite3
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

from lab import furnish
from lab.site import API, AUTH, CACHE, CART, DB, GATE, MAIL, PROXY, SEARCH, WORKER, Site
from lab.tools.end_idle_sessions import ask
from streams.workers.clock import now_ms

CALL_TIMEOUT_S: Final = 1.5
BEAT_WAIT_S: Final = 1.5
"""A worker that beats four times a second has moved on within this."""
SEARCH_WAIT_S: Final = 0.9
"""Who searches goes elsewhere after this."""


def get(port: int, target: str, *, source: str = "127.0.0.1") -> tuple[int, bytes]:
    """Return status and body of a GET on the loopback interface; ``OSError`` when there is no answer."""
    return _exchange(http.client.HTTPConnection("127.0.0.1", port, CALL_TIMEOUT_S, (source, 0)), target)


def _exchange(connection: http.client.HTTPConnection, target: str) -> tuple[int, bytes]:
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP answer from port {connection.port}: {error!r}") from error
    finally:
        connection.close()


def is_healthy(site: Site, service: str) -> bool:
    """Use a service once (1.5 s at most), as its customers do, and look at what comes of it."""
    try:
        return _USES[service](site)
    except (OSError, ValueError, KeyError, TypeError, sqlite3.Error):
        return False


def wait_until(site: Site, service: str, *, healthy: bool, timeout_s: float) -> bool:
    """Use the service again and again until it is (or is not) healthy; False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while is_healthy(site, service) != healthy:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _said(site: Site, service: str, target: str) -> Any:
    """Return what a service answers with success; ``ConnectionError`` for anything else."""
    status, body = get(site.ports[service], target)
    if status != 200:
        raise ConnectionError(f"{service} answers {status}")
    return json.loads(body)


def _stamp() -> str:
    return str(now_ms() % 1_000_000)


def _answers_an_order(site: Site, service: str) -> bool:
    number = _stamp()
    return bool(_said(site, service, f"/orders/{number}")["order"] == number)


def _worker_beats(site: Site) -> bool:
    deadline = time.monotonic() + BEAT_WAIT_S
    first = _beat(site)
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if _beat(site) > first:
            return True
    return False


def _beat(site: Site) -> int:
    uri = f"{site.database.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=0.3)) as database:
        row = database.execute("select beat from heartbeat where id = 1").fetchone()
    return int(row[0])


def _stores_a_value(site: Site) -> bool:
    value = _stamp()
    return ask(site.ports[DB], "shop", "shop", f"PUT number {value}", "GET number") == ["OK", f"OK {value}"]


def _keeps_an_entry(site: Site) -> bool:
    value = _stamp()
    _said(site, CACHE, f"/put?key=order-{value}&value={value}")
    return bool(_said(site, CACHE, f"/get?key=order-{value}")["value"] == value)


def _opens_a_session(site: Site) -> bool:
    context = ssl.create_default_context(cafile=str(furnish.authority(site)))
    target = f"/session?user=customer&token={customer_token(site)}"
    connection = http.client.HTTPSConnection("localhost", site.ports[AUTH], timeout=CALL_TIMEOUT_S, context=context)
    status, body = _exchange(connection, target)
    return status == 200 and json.loads(body)["roles"] == ["buyer"]


def customer_token(site: Site) -> str:
    """Return the token that the customer was given when the site was made."""
    return (site.directory(AUTH) / "customer.token").read_text("ascii")


def _finds_a_document(site: Site) -> bool:
    began = time.monotonic()
    found = _said(site, SEARCH, "/search?q=Word42s")
    return bool(found["hits"] == ["document-42"] and time.monotonic() - began < SEARCH_WAIT_S)


def _sends_a_message(site: Site) -> bool:
    return bool(_said(site, MAIL, f"/send?to=customer-{_stamp()}")["relay"])


def _checks_out(site: Site) -> bool:
    return bool(_said(site, CART, f"/checkout?amount={_stamp()}")["paid_by"])


def _shows_a_page(site: Site) -> bool:
    return bool(_said(site, GATE, "/page?number=7")["page"] == 7)


_USES: Final[dict[str, Callable[[Site], bool]]] = {
    API: lambda site: _answers_an_order(site, API),
    PROXY: lambda site: _answers_an_order(site, PROXY),
    WORKER: _worker_beats,
    DB: _stores_a_value,
    CACHE: _keeps_an_entry,
    AUTH: _opens_a_session,
    SEARCH: _finds_a_document,
    MAIL: _sends_a_message,
    CART: _checks_out,
    GATE: _shows_a_page,
}
