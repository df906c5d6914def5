"""Every answer of the web is counted."""

from __future__ import annotations

import httpx2 as httpx
import pytest
from fastapi import FastAPI, Response

from streams import telemetry
from streams.web.counting import Counting


def counts(status: int) -> list[float]:
    """Return how many answers of a status's class, and times to an answer, are counted."""
    names: list[tuple[str, dict[str, str]]] = [
        ("logmend_web_answers_total", {"status": f"{status // 100}xx"}),
        ("logmend_web_answer_seconds_count", {}),
    ]
    return [telemetry.REGISTRY.get_sample_value(*name) or 0.0 for name in names]


async def asked(app: FastAPI) -> int:
    """Return the status that is answered, whatever is raised besides."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return (await client.get("/")).status_code


@pytest.mark.parametrize("status", [200, 303, 404, 503])
async def test_an_answer_counts_by_its_class(status: int) -> None:
    """One more of its class, and one more time to answer."""
    app = FastAPI()

    @app.get("/")
    async def answer() -> Response:
        return Response(status_code=status)

    app.add_middleware(Counting)
    before = counts(status)
    assert await asked(app) == status
    assert counts(status) == [count + 1 for count in before]


async def test_an_endpoint_that_fails_counts_once() -> None:
    """What a fault of ours is answered by stands outside of every middleware, and counts as well."""
    app = FastAPI()

    @app.get("/")
    async def answer() -> Response:
        raise ZeroDivisionError

    app.add_middleware(Counting)
    before = counts(500)
    assert await asked(app) == 500
    assert counts(500) == [count + 1 for count in before]
