"""Decide hangs: it ends by itself and is started anew, and whoever looks at the system from outside sees it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.runtime import children
from streams.runtime.address import web_address_file
from streams.runtime.supervisor import Supervisor
from streams.runtime.watchdog import EXIT_STALLED
from streams.settings import Settings
from tests.broker.hanging import ANSWER_MS, BLOCKS
from tests.ports import free_ports
from tests.workers import kit

ROLES = ("detect", "decide", "host", "web")
ALERTS = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"


def read(url: str) -> tuple[int, str]:
    """Return status and text of an answer; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


class Outside:
    """What can be seen from outside: health, and the two metrics of the alert, whose highest values count."""

    def __init__(self, settings: Settings) -> None:
        self._health = web_address_file(settings.data_dir).read_text() + "/health"
        self._ports = [settings.metrics_port + 1 + place for place in range(len(ROLES))]
        groups: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        (rule,) = (one for one in rules if one.get("alert") == "LogmendCanarySilent")
        self._sent, self._heard = dict.fromkeys(re.findall(r"logmend_canary_\w+", rule["expr"]))
        self._highest: dict[str, float] = {}

    def health(self) -> int:
        """Return the status of an answer of the web."""
        return read(self._health)[0]

    def silent_seconds(self) -> float:
        """Return what the alert compares with its limit: how far what was sent is ahead of what was heard."""
        for port in self._ports:
            _, text = read(f"http://127.0.0.1:{port}/metrics")
            for name, value in re.findall(r"^(logmend_canary_\w+) (\S+)$", text, re.MULTILINE):
                self._highest[name] = max(float(value), self._highest.get(name, 0.0))
        return self._highest.get(self._sent, 0.0) - self._highest.get(self._heard, 0.0)


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something is seen."""
    await asyncio.to_thread(kit.until, holds, what)


@pytest.mark.broker
async def test_a_decide_that_hangs_ends_and_is_missed(
    broker: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Blocked or waiting for ever it ends with the status of a stall and is started anew; health and canary tell.

    Once it hangs no more, health is good again, and the canary is heard.
    """
    monkeypatch.setattr(children, "_command", lambda role: [sys.executable, "-m", "tests.broker.hanging", role])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    given = {"metrics_port": free_ports(len(ROLES) + 1), "web_port": 0, "canary_seconds": 1}
    settings = broker.model_copy(update=given)
    hang = settings.data_dir / "hang"
    with caplog.at_level(logging.WARNING):
        async with Supervisor(settings, roles=ROLES) as running:
            outside = Outside(settings)
            await until(lambda: 0 < outside.silent_seconds() < ANSWER_MS / 1_000, "a decision on the canary")
            await until(lambda: outside.health() == 200, "good health")

            hang.write_text(BLOCKS, "ascii")
            await until(lambda: running.states[1].restarts >= 1, "a new process")
            await until(lambda: running.states[1].restarts >= 2, "another one")
            await until(lambda: outside.health() == 503, "bad health")
            await until(lambda: outside.silent_seconds() > ANSWER_MS / 1_000, "the alert's condition")

            hang.unlink()
            await until(lambda: outside.health() == 200, "good health again")
            await until(lambda: outside.silent_seconds() < ANSWER_MS / 1_000, "a decision again")
    ended = [getattr(one, "fields", {}) for one in caplog.records if one.getMessage() == "child_restarted"]
    assert {(one["role"], one["status"]) for one in ended} == {("decide", EXIT_STALLED)}
    shown = (settings.data_dir / "run" / "decide.log").read_text()
    assert "in stand_still" in shown
    assert "in wait_for_ever" in shown
    assert "watchdog_fired" in shown
