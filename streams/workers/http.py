"""Actions on a service that is reached by HTTP: the calls that its inventory entry names, and a look at it."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from streams.core import tracing
from streams.core.inventory import ServiceSpec
from streams.workers.orders import Order
from streams.workers.results import Result, Surroundings

ANSWER_BYTES_MAX: Final = 65_536
SUCCESS: Final = range(200, 300)
SPARE_MS: Final = 250
"""The call gives up this long before the action's own time-out would kill it."""
TIMEOUT_MIN_MS: Final = 50


def call(order: Order, around: Surroundings) -> Result:
    """Make one of the declared calls; the answer's status is the code. Redirects are not followed.

    The trace of the line that led here goes on as it came: no span of ours stands between.
    """
    method, _, path = order.spec.calls[str(order.values["call"])].partition(" ")
    body = str(order.values["body"]).encode() if "body" in order.values else None
    headers = {"Idempotency-Key": order.command_id, "User-Agent": "logmend", "Connection": "close"}
    if around.trace:
        headers[tracing.HEADER] = around.trace
    if body is not None:
        headers["Content-Type"] = "application/json"
    return _request(order, method, path, body, headers)


def probe(order: Order, around: Surroundings) -> Result:  # noqa: ARG001 - all actions are called alike
    """Ask the service's first HTTP probe address, or its base address, once."""
    path = next((spec.target for spec in order.spec.probes if spec.kind == "http"), "")
    if not path.startswith("/"):
        path = urlsplit(path).path
    return _request(order, "GET", path or "/", None, {"User-Agent": "logmend", "Connection": "close"})


def _request(order: Order, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Result:
    """Send one request. ``effect`` is none for one that only reads or never left, unknown when no answer came."""
    reads = method in {"GET", "HEAD"}
    connection = _connection(order.spec, order.timeout_ms)
    try:
        connection.connect()
    except OSError as error:
        return Result(ok=False, code=_code(error), effect="none", detail=str(error))
    try:
        connection.request(method, _prefix(order.spec) + path, body, dict(headers))
        answer = connection.getresponse()
        answer.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException) as error:
        return Result(ok=False, code=_code(error), effect="none" if reads else "unknown", detail=str(error))
    finally:
        connection.close()
    return Result(ok=answer.status in SUCCESS, code=str(answer.status), effect="none" if reads else "once")


def _connection(spec: ServiceSpec, timeout_ms: int) -> http.client.HTTPConnection:
    parts = urlsplit(spec.base_url)
    seconds = max(timeout_ms - SPARE_MS, TIMEOUT_MIN_MS) / 1000
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=seconds, context=context)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)


def _prefix(spec: ServiceSpec) -> str:
    return urlsplit(spec.base_url).path.rstrip("/")


def _code(error: Exception) -> str:
    """Return a short word for a failed exchange."""
    match error:
        case TimeoutError():
            return "timed_out"
        case ConnectionRefusedError():
            return "refused"
        case socket.gaierror():
            return "unknown_host"
        case ssl.SSLError():
            return "tls"
        case _:
            return "no_answer"
