"""Every answer of the web is counted."""

from __future__ import annotations

import httpx2 as httpx
import pytest
from fastapi import FastAPI, Response

from streams import telemetry
from streams.web.counting import Counting


@pytest.mark.parametrize("status", [200, 303, 404, 503])
async def test_an_answer_counts_by_its_class(status: int) -> None:
    """One more of its class, and one more time to answer."""
    app = FastAPI()

    @app.get("/")
    async def answer() -> Response:
        return Response(status_code=status)

    app.add_middleware(Counting)
    labels = {"status": f"{status // 100}xx"}
    names: list[tuple[str, dict[str, str]]] = [
        ("logmend_web_answers_total", labels),
        ("logmend_web_answer_seconds_count", {}),
    ]
    before = [telemetry.REGISTRY.get_sample_value(*name) or 0.0 for name in names]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as client:
        assert (await client.get("/")).status_code == status
    assert [telemetry.REGISTRY.get_sample_value(*name) for name in names] == [count + 1 for count in before]
