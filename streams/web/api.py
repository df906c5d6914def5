"""The HTTP API; shapes in SEED_TABLES section 3."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.openapi.utils import get_openapi

from streams.web.auth import ANYONE, Person, needs

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, _: Annotated[Person, Depends(needs(ANYONE))]) -> dict[str, Any]:
    """Return the description of this API; each endpoint's role is its `x-role`."""
    app = request.app
    return get_openapi(title=app.title, version="1", routes=app.routes)
