"""The ground truth: whether a service really works, found out by using it, with nothing of Logmend in between."""

from __future__ import annotations

import http.client
import json
import sqlite3
import time
from contextlib import closing
from typing import Final

from lab.site import API, PROXY, WORKER, Site

CALL_TIMEOUT_S: Final = 1.5
BEAT_WAIT_S: Final = 1.5
"""A worker that beats four times a second has moved on within this."""


def get(port: int, target: str) -> tuple[int, bytes]:
    """Return status and body of a GET on the loopback interface; ``OSError`` when there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_TIMEOUT_S)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP answer from port {port}: {error!r}") from error
    finally:
        connection.close()


def is_healthy(site: Site, service: str) -> bool:
    """Use the service once (1.5 s at most): the API and the proxy answer an order, the worker's heartbeat moves."""
    if service == WORKER:
        return _worker_beats(site)
    return _answers_an_order({API: site.api_port, PROXY: site.proxy_port}[service])


def wait_until(site: Site, service: str, *, healthy: bool, timeout_s: float) -> bool:
    """Use the service again and again until it is (or is not) healthy; False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while is_healthy(site, service) != healthy:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _answers_an_order(port: int) -> bool:
    number = str(int(time.time() * 1000) % 1_000_000)
    try:
        status, body = get(port, f"/orders/{number}")
        return status == 200 and json.loads(body)["order"] == number
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _worker_beats(site: Site) -> bool:
    deadline = time.monotonic() + BEAT_WAIT_S
    try:
        first = _beat(site)
        while time.monotonic() < deadline:
            time.sleep(0.1)
            if _beat(site) > first:
                return True
    except sqlite3.Error:
        return False
    return False


def _beat(site: Site) -> int:
    uri = f"{site.database.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=0.3)) as database:
        row = database.execute("select beat from heartbeat where id = 1").fetchone()
    return int(row[0])
