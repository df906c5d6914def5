"""The dashboards and alerts over a Logmend that runs, by a Prometheus that scrapes it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from lab import control
from tests.lab.watched import KINDS, Prometheus, ask_and_garble, break_and_heal, foretell, watched
from tests.packaging.dashboards import alerts, panels

pytestmark = [
    pytest.mark.broker,
    pytest.mark.usefixtures("formatted"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Debian's prometheus"),
]
SEEN_S = 90.0
QUALITY = {
    "Brier score, last day": (0.0, 0.2),
    "Precision, last day": (0.1, 1.0),
    "Recall, last day": (0.1, 1.0),
    "Failures warned of, last day": (0.1, 1.0),
    "Median lead, last day": (1.0, 30.0),
}
"""Between what each figure lies where services leak before they fail. The base rate alone has a Brier score of 0.25."""


def lacking(prometheus: Prometheus) -> list[str]:
    """Return the panels that show nothing, and the figures of quality that are not what they can be."""
    found = [where for where, panel in panels() if not any(prometheus.ask(one["expr"]) for one in panel["targets"])]
    shown = {panel["title"]: panel["targets"][0]["expr"] for _, panel in panels()}
    for title, (least, most) in QUALITY.items():
        values = [float(sample["value"][1]) for sample in prometheus.ask(shown[title])]
        found += [f"{title}: {value}" for value in values if not least <= value <= most]
    return found


async def test_every_panel_shows_something_and_every_alert_is_judged(tmp_path: Path) -> None:
    """While faults are healed and failures foretold no panel is empty, no alert's rule fails, and nobody is missed."""
    async with watched(tmp_path) as (lab, workshop, prometheus):
        stories, _, _ = await asyncio.gather(break_and_heal(lab, workshop), foretell(lab), ask_and_garble(lab))
        assert [story.healed for story in stories] == [True, True], stories
        await asyncio.to_thread(control.wait, lambda: not lacking(prometheus), SEEN_S)
        assert lacking(prometheus) == []
        for name, expression in alerts():
            assert name != "LogmendProcessGone" or prometheus.ask(expression) == []
        assert {rule["health"] for rule in prometheus.rules()} == {"ok"}
        assert {sample["metric"]["job"] for sample in prometheus.ask("up == 1")} == set(KINDS)
