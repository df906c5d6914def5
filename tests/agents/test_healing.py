"""How long healing takes, as told by durable decisions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams import telemetry
from streams.agents.healing import Healing
from streams.core.events import Decision


def decision(kind: str, incident: str, now_ms: int, **fields: Any) -> Decision:
    """Return a decision of a kind about an incident at a time; ``fields`` are those that matter besides."""
    plain = Decision(
        seq=0,
        id="1-0-0",
        epoch=1,
        facts_offset=0,
        ordinal=0,
        kind=kind,
        reason="",
        incident=incident,
        service="api",
        host="h1",
        pattern="process_crash",
        category="process",
        severity="critical",
        at_ms=now_ms,
        now_ms=now_ms,
        append_ms=now_ms,
        count=1,
        causes=(),
        policy_sha256="",
        rules_sha256="",
        inventory_sha256="",
        confidence=0.0,
        strategy="",
        options=(),
        gates=(),
        command=None,
        refers_to="",
        previous_sha256="",
    )
    return msgspec.structs.replace(plain, **fields)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list that every observed time to heal is added to."""
    observed: list[float] = []
    monkeypatch.setattr(telemetry, "healed", observed.append)
    return observed


def seen(*decisions: Decision) -> Healing:
    """Return what has seen some decisions."""
    healing = Healing()
    for one in decisions:
        healing.see(one)
    return healing


def test_healing_takes_from_opening_to_verification(seconds: list[float]) -> None:
    """Each incident is measured by itself, in seconds of the fold's time."""
    seen(
        decision("incident_opened", "a", 1_000),
        decision("incident_opened", "b", 2_000),
        decision("commanded", "a", 2_500),
        decision("verified", "b", 4_500),
        decision("verified", "a", 11_000),
    )
    assert seconds == [2.5, 10.0]


@pytest.mark.parametrize("kind", ["unverified", "verification_failed", "incident_closed", "escalated"])
def test_only_what_is_verified_is_measured(seconds: list[float], kind: str) -> None:
    """No other end of an incident counts as healing."""
    seen(decision("incident_opened", "a", 1_000), decision(kind, "a", 4_000))
    assert seconds == []


def test_an_opening_that_was_not_seen_is_not_guessed(seconds: list[float]) -> None:
    """An incident that an earlier owner opened is left out."""
    seen(decision("verified", "a", 4_000))
    assert seconds == []


@pytest.mark.parametrize("end", ["incident_closed", "incident_merged"])
def test_an_incident_that_is_over_is_forgotten(seconds: list[float], end: str) -> None:
    """After its end nothing of an incident is kept, so memory is bounded by the open ones."""
    healing = seen(decision("incident_opened", "a", 1_000), decision(end, "a", 2_000))
    healing.see(decision("verified", "a", 3_000))
    assert seconds == []
