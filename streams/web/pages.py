"""The pages."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

router = APIRouter()


def error_page(request: Request, status: int, detail: str) -> Response:  # noqa: ARG001 - every page is made of a request
    """Return the page that says what went wrong."""
    return PlainTextResponse(detail, status)
