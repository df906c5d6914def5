"""JSON answers from msgspec structs: encoded by msgspec, and described in OpenAPI by the same structs."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi.responses import Response

from streams.web.problems import problems

JSON: Final = "application/json"
_REFERENCE: Final = "#/components/schemas/{name}"
_described: list[Any] = []
"""Every type that an endpoint answers with."""


def answered(value: Any, status: int = 200) -> Response:
    """Return an answer. Times become ISO 8601."""
    return Response(msgspec.json.encode(value), status, media_type=JSON)


def answers(kind: Any, *statuses: int, status: int = 200) -> dict[str, Any]:
    """Return what an endpoint's decorator is told: it answers with ``kind``, or with a problem of these statuses."""
    _described.append(kind)
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    content = {"description": HTTPStatus(status).phrase, "content": {JSON: {"schema": schema}}}
    return {
        "response_class": Response,
        "response_model": None,
        "status_code": status,
        "responses": {status: content, **problems(401, 403, 429, *statuses)},
    }


def components() -> dict[str, Any]:
    """Return the schemas of all answers, for OpenAPI."""
    _, found = msgspec.json.schema_components(_described, ref_template=_REFERENCE)
    return found


def moment(at_ms: int) -> datetime | None:
    """Return a time in UTC; None for 0."""
    return datetime.fromtimestamp(at_ms / 1000, UTC) if at_ms else None
