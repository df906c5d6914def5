"""The decision service: ``POST /decide`` and ``GET /health`` on LOGMEND_ADVISE_PORT, 8085 by default, with OpenAPI.

It listens on loopback unless told otherwise. What comes is JSON of at most ``BODY_BYTES_MAX``, of a name that is ours;
a page of another site can't ask, for browsers let none send JSON elsewhere without asking, and nobody says yes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import uvicorn
from fastapi import Body, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from streams.advise.deciding import Decider
from streams.advise.questions import Decided, Health, Question
from streams.core.errors import InputError
from streams.runtime.listening import Server

PORT: Final = 8085
BODY_BYTES_MAX: Final = 64 * 1024
AT_ONCE: Final = 64
"""Requests at one time; more are answered with 503."""
DETAIL_CHARACTERS_MAX: Final = 500
STOP_S: Final = 2
MEDIA_TYPE: Final = "application/problem+json"
NAMES: Final = frozenset({"localhost", "localhost.localdomain"})

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Problem(BaseModel):
    """A problem as it is answered (RFC 9457); ``detail`` says what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problem(status: int, detail: str) -> Response:
    """Return the response that tells of a problem."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(body.model_dump(), status, media_type=MEDIA_TYPE)


def create_app(decider: Decider, host: str) -> FastAPI:
    """Return the application; ``host`` is this host's name, by which it may be asked beside its addresses."""
    app = FastAPI(title="Logmend decision service", docs_url=None, redoc_url=None)
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in (400, 413, 415, 421, 422)
    }

    @app.get("/health")
    async def health() -> Health:
        """Tell how the service stands."""
        return decider.health

    @app.post("/decide", responses=responses)
    async def decide(question: Annotated[Question, Body()]) -> Decided:
        """Answer one of the six questions."""
        return await decider.decide(question)

    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(InputError)(_senseless)
    app.exception_handler(HTTPException)(_refused)
    app.add_middleware(_Gate, host=host)
    return app


async def _invalid(_request: Request, error: Exception) -> Response:
    """Name the first field that is wrong, and what may stand there."""
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    where = ".".join(str(part) for part in first.get("loc", ())[1:])
    if first.get("type") == "json_invalid":
        return problem(400, "the body is not JSON")
    return problem(422, f"{where or 'body'}: {first.get('msg', 'not valid')}"[:DETAIL_CHARACTERS_MAX])


async def _senseless(_request: Request, error: Exception) -> Response:
    return problem(422, str(error)[:DETAIL_CHARACTERS_MAX])


async def _refused(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return problem(status, "there are POST /decide, GET /health and GET /openapi.json")


class _Gate:
    """ASGI middleware: names, kinds and sizes of what comes."""

    def __init__(self, app: Any, host: str) -> None:
        self._app = app
        self._names = NAMES | {host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with what is wrong."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._refusal(scope, headers)
        body = b""
        if refused is None:
            body = await _body(receive)
            if len(body) > BODY_BYTES_MAX:
                refused = problem(413, f"at most {BODY_BYTES_MAX} bytes")
        if refused is not None:
            await refused(scope, receive, send)
        else:
            await self._app(scope, _again(body, receive), send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if not _is_ours(headers.get("host", ""), self._names):
            return problem(421, "this name is none of ours: use the address")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] == "POST" and kind != "application/json":
            return problem(415, "send JSON, with Content-Type: application/json")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            return problem(413, f"at most {BODY_BYTES_MAX} bytes")
        return None


def _is_ours(host: str, names: frozenset[str]) -> bool:
    """Tell whether a Host header is an address or a name of ours: no other site's name may lead here."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0].lower().rstrip(".")
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return name in names


async def _body(receive: Receive) -> bytes:
    """Return what is sent, or of too much a little more than is allowed."""
    body = b""
    while len(body) <= BODY_BYTES_MAX:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read to who asks for it, and then what comes after it."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return left.pop() if left else await receive()

    return give


@contextlib.asynccontextmanager
async def serving(app: FastAPI, listening: socket.socket) -> AsyncIterator[None]:
    """Serve an application while the block lasts; the requests under way are answered first."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=AT_ONCE,
        timeout_graceful_shutdown=STOP_S,
    )
    server = Server(config)
    running = asyncio.create_task(server.serve([listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await running
