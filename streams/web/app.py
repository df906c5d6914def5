"""The web application: endpoints, what stands before them, how problems are answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from streams import telemetry
from streams.core.errors import InputError, InvariantError
from streams.settings import Settings
from streams.web import api, pages, signing
from streams.web.auth import Gatekeeper, Needs
from streams.web.counting import Counting
from streams.web.guarding import Guard
from streams.web.history import History
from streams.web.letters import Letters
from streams.web.model import Model
from streams.web.problems import WebError, problem
from streams.web.saying import Voice

STATIC: Final = Path(__file__).with_name("static")
TITLE: Final = "Logmend"


@dataclass(frozen=True)
class Deps:
    """What the endpoints work with; pages and API find it as ``request.app.state.deps``.

    ``redact`` replaces secrets in what people write; ``stopping`` is set when the process is to end.
    """

    settings: Settings
    model: Model
    history: History
    voice: Voice
    gate: Gatekeeper
    letters: Letters
    redact: Callable[[str], str]
    stopping: asyncio.Event


def create_app(deps: Deps) -> FastAPI:
    """Return the application. Raises ``InvariantError`` when an endpoint does not say who may call it."""
    app = FastAPI(title=TITLE, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.deps = deps
    for router in (api.router, signing.router, pages.router):
        for found in iter_route_contexts(router.routes):
            _declare_role(found.original_route)
        app.include_router(router)
    if STATIC.is_dir():
        app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(WebError, _told)
    app.add_exception_handler(HTTPException, _told)
    app.add_exception_handler(RequestValidationError, _told)
    app.add_exception_handler(InputError, _told)
    app.add_exception_handler(Exception, _failed)
    names = (deps.settings.host, *deps.settings.web_names)
    app.add_middleware(Guard, names=names, origins=deps.settings.web_origins, clock=time.monotonic)
    app.add_middleware(Counting)
    return app


def _declare_role(route: BaseRoute) -> None:
    """Put who may call an endpoint into OpenAPI, as ``x-role``."""
    if not isinstance(route, APIRoute):
        raise InvariantError(f"{route} is no endpoint that could say who may call it")
    asked = [one.call for one in route.dependant.dependencies if isinstance(one.call, Needs)]
    if len(asked) != 1:
        raise InvariantError(f"{route.path} does not say once who may call it")
    route.openapi_extra = {**(route.openapi_extra or {}), "x-role": asked[0].role or "anyone"}


def _explained(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Return status, detail and headers of what an endpoint raised."""
    match error:
        case WebError():
            return error.status, error.detail, error.headers
        case RequestValidationError():
            return 422, "; ".join(map(_wrong, error.errors())), {}
        case HTTPException(status_code=404):
            return 404, "there is nothing at this address: see /openapi.json", {}
        case HTTPException():
            return error.status_code, str(error.detail), dict(error.headers or {})
    return 400, str(error), {}


def _wrong(one: dict[str, Any]) -> str:
    where = " ".join(str(part) for part in one["loc"])
    return f"{where}: {one['msg']}"[:300]


async def _told(request: Request, error: Exception) -> Response:
    status, detail, headers = _explained(error)
    return _answer(request, status, detail, headers)


async def _failed(request: Request, error: Exception) -> Response:
    telemetry.handled("web", f"{request.method} {request.url.path}: {type(error).__name__}: {error}")
    return _answer(request, 500, "this is our fault, and was logged", {})


def _answer(request: Request, status: int, detail: str, headers: dict[str, str]) -> Response:
    """Answer a program with a problem, and a person with a page."""
    is_page = not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")
    if not is_page:
        return problem(status, detail, headers)
    response = pages.error_page(request, status, detail)
    response.headers.update(headers)
    return response
