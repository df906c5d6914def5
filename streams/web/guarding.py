"""What stands before every request, whoever asks: names, sites, sizes, rates; and the headers of every answer.

* **Host**: only names that are ours (an address, localhost, this host, ``LOGMEND_WEB_NAMES``): a page of another site
  whose name suddenly resolves to this machine (DNS rebinding) is refused.
* **Cross-site**: a request that changes something must come from our own pages or from no browser at all: browsers say
  where a request comes from in ``Sec-Fetch-Site`` and ``Origin``, and no page can change that. With a session's cookie
  one of the two must be there. Sites in ``LOGMEND_WEB_ORIGINS`` are let through, with a token only.
* **Sizes and rates**: bodies up to ``BODY_BYTES_MAX``, requests of a client up to ``RATE``.
* **Content-Security-Policy**: nothing inline, nothing of others, no frames.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from functools import lru_cache
from typing import Any, Final

from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from streams.web.limits import Limiter, Rate, client_of
from streams.web.problems import WebError, problem
from streams.web.sessions import COOKIE

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES_MAX: Final = 64 * 1024
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
RATE: Final = Rate(per_second=4_000, burst=8_000)
COSTS: Final = {"/api/why/": 100, "/api/stats": 50, "/api/decisions": 50, "/api/dlq": 200, "/api/history": 50}
"""What a request takes from the rate: those that read the event log take more than those from memory, which take 1."""
NAMES_MAX: Final = 1_024
"""Of names that were looked at, whether they are addresses."""
STATIC: Final = "/static/"
STATIC_S: Final = 3_600
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # not no-referrer: with that, browsers send our own forms with "Origin: null"
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
ALLOWED: Final = {
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
}


class Guard:
    """ASGI middleware. ``names`` are the host names that are ours, ``origins`` the other sites that may call."""

    def __init__(self, app: App, names: Collection[str], origins: Collection[str], clock: Callable[[], float]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names) | {"localhost"}
        self._origins = frozenset(origins)
        self._limiter = Limiter(RATE, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with what is wrong."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        other = _other_site(headers, self._origins)
        answering = _answering(send, scope["path"], other)
        try:
            self._check(scope, headers, other)
        except WebError as error:
            await problem(error.status, error.detail, error.headers)(scope, receive, answering)
            return
        if scope["method"] == "OPTIONS" and other:
            await Response(status_code=204, headers=ALLOWED)(scope, receive, answering)
            return
        await self._app(scope, _limited(receive), answering)

    def _check(self, scope: Scope, headers: Headers, other: str) -> None:
        if not self._is_ours(headers.get("host", "")):
            raise WebError(421, "this name is none of ours: use the address, or add it to LOGMEND_WEB_NAMES")
        self._check_rate(scope)
        if scope["method"] not in SAFE and not other and not _comes_from_us(headers):
            raise WebError(403, "only our own pages and programs may change anything; see LOGMEND_WEB_ORIGINS")
        if other and scope["method"] != "OPTIONS" and "authorization" not in headers:
            raise WebError(401, "other sites' pages must show a token: Authorization: Bearer lm_...")
        if _length(headers) > BODY_BYTES_MAX:
            raise _too_large()

    def _check_rate(self, scope: Scope) -> None:
        client = client_of(scope["client"][0] if scope.get("client") else "")
        path = scope["path"]
        cost = max((cost for prefix, cost in COSTS.items() if path.startswith(prefix)), default=1)
        if wait_s := self._limiter.wait_s(client, cost):
            seconds = str(math.ceil(wait_s))
            raise WebError(429, f"too many requests: wait {seconds} s", {"Retry-After": seconds})

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header is a name of ours; an address is: nobody's name can be made to look like one."""
        name = _name(host)
        return name in self._names or _is_address(name)


@lru_cache(NAMES_MAX)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """Return the name in ``name:port`` or ``[address]:port``, lower-case."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")


def _other_site(headers: Headers, origins: Collection[str]) -> str:
    """Return the listed site whose page asks, ``""`` when it is none of them."""
    origin = headers.get("origin", "")
    return origin if origin in origins else ""


def _comes_from_us(headers: Headers) -> bool:
    """Whether a request is from one of our pages or from no browser."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    if origin is not None:
        return origin.partition("://")[2].lower() == headers.get("host", "").lower()
    return site is not None or f"{COOKIE}=" not in headers.get("cookie", "")


def _length(headers: Headers) -> int:
    given = headers.get("content-length", "0")
    return int(given) if given.isdecimal() else BODY_BYTES_MAX + 1


def _too_large() -> WebError:
    return WebError(413, f"a body has at most {BODY_BYTES_MAX} bytes")


def _limited(receive: Receive) -> Receive:
    """Count the bytes of a body that does not say how long it is."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY_BYTES_MAX:
            raise HTTPException(413, _too_large().detail)
        return message

    return limited


def _answering(send: Send, path: str, other: str) -> Send:
    """Put our headers on the answer; ``other`` is the site that may read it."""

    async def answering(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers["cache-control"] = f"max-age={STATIC_S}" if path.startswith(STATIC) else "no-store"
            headers["cross-origin-resource-policy"] = "cross-origin" if other else "same-origin"
            headers["vary"] = "Origin, Cookie, Authorization"
            if other:
                headers["access-control-allow-origin"] = other
        await send(message)

    return answering
