"""The HTTP API: its parts, and its description."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.openapi.utils import get_openapi

from streams.web import api_cases, api_cluster, api_log, api_steering
from streams.web.answers import components
from streams.web.auth import ANYONE, Person, needs

router = APIRouter()
for _part in (api_cluster, api_cases, api_steering, api_log):
    router.include_router(_part.router)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, _: Annotated[Person, Depends(needs(ANYONE))]) -> dict[str, Any]:
    """Return the description of this API; each endpoint's role is its `x-role`."""
    return described(request.app)


def described(app: Any) -> dict[str, Any]:
    """Return the OpenAPI description of an application, with who may call what."""
    found = get_openapi(title=app.title, version="1", routes=app.routes)
    parts = found.setdefault("components", {})
    parts.setdefault("schemas", {}).update(components())
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{"token": []}]
    return found
