"""The decision service over HTTP: answers in time, whatever the model does, and refuses what it should."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from streams.advise import asking as asking_once
from streams.advise.asking import Asker, asker_of
from streams.advise.deciding import Decider
from streams.advise.service import BODY_BYTES_MAX, create_app, serving
from streams.runtime.listening import url_of
from streams.settings import Settings
from tests.advise import serving as models
from tests.advise.serving import Said, Server

RESTART = {"decision": "recovery_selection", "pattern": "process_crash", "declared": ["argv"]}


@contextlib.asynccontextmanager
async def asking(asker: Asker | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Serve on a free port, and return who asks there."""
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        app = create_app(Decider(asker, lambda text: text.replace("hunter2", "[password]")), "box-1")
        async with serving(app, listening), httpx.AsyncClient(base_url=url_of(listening)) as client:
            yield client


@contextlib.asynccontextmanager
async def with_model(
    path: Path, *says: Said | Callable[[BaseHTTPRequestHandler], None]
) -> AsyncIterator[tuple[httpx.AsyncClient, Server]]:
    """Serve with a model that says so, on a port of its own."""
    with models.serving(*says) as server:
        settings = Settings(
            data_dir=path,
            advise_provider="openai",
            advise_model="m",
            advise_url=f"{server.address}/v1",
            advise_usd_in=0.0,
            advise_usd_out=0.0,
        )
        asker = asker_of(settings)
        assert asker is not None
        async with asking(asker) as client:
            yield client, server
        await asker.aclose()


def thinks(action: str, **fields: Any) -> Said:
    """Return a model's answer."""
    text = json.dumps({"action": action, "confidence": 0.9, "rationale": "so it is, hunter2", **fields})
    return models.said(models.completion(text))


async def test_the_rules_answer_without_a_model() -> None:
    """Each of the six questions has an answer, and health says that there is no model."""
    async with asking() as client:
        for question in (
            {"decision": "anomaly_analysis", "metric": "cpu", "values": [1.0, 2.0]},
            RESTART,
            {"decision": "agent_selection", "pattern": "process_crash"},
            {"decision": "risk_assessment", "action": "process.restart"},
            {"decision": "impact_estimation", "severity": "error", "technology": 0.5},
            {"decision": "resource_planning", "metric": "disk", "values": [1.0], "limit": 100.0},
        ):
            answer = await client.post("/decide", json=question)
            assert answer.status_code == 200
            body = answer.json()
            assert (body["decision"], body["source"]) == (question["decision"], "rules")
            assert 0.0 <= body["confidence"] <= 1.0
        health = (await client.get("/health")).json()
    assert health == {"status": "healthy", "provider": "rules", "model": "", "model_available": False}


async def test_what_was_asked_lately_is_remembered() -> None:
    """The same question is answered from memory, whatever its deadline; another one is not."""
    async with asking() as client:
        sources = [
            (await client.post("/decide", json=question)).json()["source"]
            for question in (RESTART, RESTART, {**RESTART, "deadline_ms": 500}, {**RESTART, "severity": "fatal"})
        ]
    assert sources == ["rules", "cache", "cache", "rules"]


async def test_a_model_chooses_among_what_the_rules_offer(tmp_path: Path) -> None:
    """Its choice, confidence and redacted reason are the answer; what it was told stands in a fence."""
    async with with_model(tmp_path, thinks("process.stop")) as (client, server):
        first, second = [(await client.post("/decide", json=RESTART)).json() for _ in range(2)]
        health = (await client.get("/health")).json()
    assert (first["recommendation"], first["confidence"], first["source"]) == ("process.stop", 0.9, "model")
    assert first["reason"] == "so it is, [password]"
    assert "process.restart" in {one["recommendation"] for one in first["alternatives"]}
    assert second == {**first, "source": "cache"}
    assert len(server.asked) == 1
    said = server.asked[0][2]["messages"][-1]["content"]
    assert said.startswith("<data ")
    assert '"pattern": "process_crash"' in said
    assert (health["provider"], health["model_available"]) == ("openai", True)


@pytest.mark.parametrize(
    "said",
    [
        thinks("rm -rf /"),
        thinks(""),
        thinks("process.restart", command="id"),
        models.said(models.completion("I can't tell.")),
        models.said({}, 500),
        models.said(b"<html>", 200),
        models.break_off,
    ],
)
async def test_the_rules_stand_in_for_a_model(
    tmp_path: Path, said: Said | Callable[[BaseHTTPRequestHandler], None]
) -> None:
    """A model that names something else, nothing, or fails leaves the answer to the rules, which is not remembered."""
    async with with_model(tmp_path, said) as (client, server):
        answers = [
            (await client.post("/decide", json={**RESTART, "deadline_ms": 1_000}, timeout=30)).json() for _ in range(2)
        ]
    assert [(one["recommendation"], one["source"]) for one in answers] == [("process.restart", "rules")] * 2
    assert server.asked


async def test_the_rules_answer_in_time(tmp_path: Path) -> None:
    """A model that hangs is not waited for beyond the deadline."""
    over = threading.Event()

    def hang(_handler: BaseHTTPRequestHandler) -> None:
        over.wait()

    async with with_model(tmp_path, hang) as (client, server):
        answer = await client.post("/decide", json={**RESTART, "deadline_ms": 1_000}, timeout=30)
        asked = len(server.asked)
        over.set()
    assert (answer.json()["source"], asked) == ("rules", 1)


async def test_a_model_that_hangs_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three deadlines that pass one after the other say that it is down, and the fourth question waits for nothing."""
    monkeypatch.setattr(asking_once, "FAIR_SECONDS", 0.25)
    over = threading.Event()

    def hang(_handler: BaseHTTPRequestHandler) -> None:
        over.wait()

    async with with_model(tmp_path, hang, hang, hang) as (client, server):
        for severity in ("info", "warning", "error", "critical"):
            question = {**RESTART, "severity": severity, "deadline_ms": 300}
            assert (await client.post("/decide", json=question, timeout=30)).json()["source"] == "rules"
        health = (await client.get("/health")).json()
        asked = len(server.asked)
        over.set()
    assert (health["model_available"], asked) == (False, 3)


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("content", "headers", "status", "says"),
    [
        (b"{", JSON, 400, "not JSON"),
        (b"[]", JSON, 422, "body"),
        (b'{"decision": "order_pizza"}', JSON, 422, "resource_planning"),
        (b'{"decision": "risk_assessment"}', JSON, 422, "risk_assessment.action"),
        (b'{"decision": "risk_assessment", "action": "a.b", "x": 1}', JSON, 422, "risk_assessment.x"),
        (
            b'{"decision": "recovery_selection", "pattern": "x", "declared": ["tool:sh"]}',
            JSON,
            422,
            "tool:sh is no part",
        ),
        (b"{}", {"content-type": "text/plain"}, 415, "application/json"),
        (b"{}", {}, 415, "application/json"),
        (b" " * (BODY_BYTES_MAX + 1), JSON, 413, "65536"),
        (b"{}", {**JSON, "host": "evil.example"}, 421, "none of ours"),
    ],
)
async def test_what_is_wrong_is_said(content: bytes, headers: dict[str, str], status: int, says: str) -> None:
    """Each problem has a status of its own, and one line that names what is wrong."""
    async with asking() as client:
        answer = await client.post("/decide", content=content, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert says in answer.json()["detail"]


async def test_a_body_that_does_not_end_is_cut_off() -> None:
    """A body without a length is read to its limit and no further."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * BODY_BYTES_MAX:
            sent += 4_096
            yield b" " * 4_096

    async with asking() as client:
        answer = await client.post("/decide", content=endless(), headers=JSON)
    assert answer.status_code == 413


async def test_names_of_this_host_are_ours() -> None:
    """It may be asked by its address, as localhost, and by the host's name; unknown paths are pointed elsewhere."""
    async with asking() as client:
        for host in ("127.0.0.1:8085", "localhost", "LOCALHOST:1", "box-1", "[::1]:8085"):
            assert (await client.get("/health", headers={"host": host})).status_code == 200
        nowhere = await client.get("/etc/passwd")
    assert (nowhere.status_code, "POST /decide" in nowhere.json()["detail"]) == (404, True)


async def test_the_interface_describes_itself() -> None:
    """OpenAPI names both paths and all six questions."""
    async with asking() as client:
        told = (await client.get("/openapi.json")).json()
    assert set(told["paths"]) == {"/health", "/decide"}
    mapping = told["paths"]["/decide"]["post"]["requestBody"]["content"]["application/json"]["schema"]["discriminator"]
    assert len(mapping["mapping"]) == 6
