"""The dashboards are what Grafana takes, ask for what is exported, and say what they show."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from streams import telemetry
from tests.packaging.dashboards import DASHBOARDS, DEPLOY, expressions, panels

METRIC: Final = re.compile(r"\b(?:logmend_[a-z_]+)")
LABELS_OF: Final = re.compile(r"by \(([a-z_, ]+)\)")
UNITS: Final = {
    "none",
    "short",
    "percentunit",
    "s",
    "bytes",
    "Bps",
    "cps",
    "cpm",
    "currencyUSD",
}
"""Grafana's names of the units that we use; of a wrong one it shows the bare number, and no error."""
PANELS: Final = list(panels())
SUBJECTS: Final = {"pipeline", "healing", "predictions", "advisors", "self"}


def exported() -> set[str]:
    """Return the names of all series that our processes export."""
    names = set()
    for family in telemetry.REGISTRY.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
        names |= {family.name + suffix for suffix in suffixes}
    return names


def test_there_is_a_dashboard_for_each_subject() -> None:
    """Pipeline, healing, quality of predictions, advisors, and Logmend itself; each is found by a name of its own."""
    assert set(DASHBOARDS) == SUBJECTS
    assert len({one["uid"] for one in DASHBOARDS.values()} | {one["title"] for one in DASHBOARDS.values()}) == 10


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_provisioned_and_changes_nothing(name: str) -> None:
    """Grafana finds it by its uid, nobody edits it, and it leads to the others."""
    dashboard = DASHBOARDS[name]
    assert (dashboard["uid"], dashboard["editable"]) == (f"logmend-{name}", False)
    assert dashboard["schemaVersion"] >= 39
    assert dashboard["description"].endswith(".")
    assert dashboard["links"][0]["tags"] == dashboard["tags"] == ["logmend"]


@pytest.mark.parametrize(("where", "panel"), PANELS, ids=[where for where, _ in PANELS])
def test_a_panel_says_what_it_shows(where: str, panel: dict[str, Any]) -> None:
    """It has a description and a unit that Grafana knows, and each of its lines has a name."""
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])
    assert all(target["legendFormat"] for target in panel["targets"])
    assert panel["type"] in {"stat", "timeseries"}


@pytest.mark.parametrize(("where", "panel"), PANELS, ids=[where for where, _ in PANELS])
def test_a_legend_names_the_labels_that_tell_lines_apart(where: str, panel: dict[str, Any]) -> None:
    """Otherwise two lines would have the same name; ``le`` is used up by the quantile."""
    for target in panel["targets"]:
        if panel["type"] == "timeseries":
            outer = LABELS_OF.search(target["expr"])
            labels = set(re.split(r", *", outer.group(1))) - {"le"} if outer else set()
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) == labels, target["expr"]


def test_panels_use_the_provisioned_source() -> None:
    """They find their data without a click."""
    (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    used = {json.dumps(one["datasource"]) for _, panel in PANELS for one in (panel, *panel["targets"])}
    assert used == {json.dumps({"type": "prometheus", "uid": source["uid"]})}
    assert source["url"] == "http://prometheus:9090"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_two_panels_overlap(name: str) -> None:
    """Panels have ids and titles of their own and lie side by side in Grafana's 24 columns."""
    shown = DASHBOARDS[name]["panels"]
    places = [panel["gridPos"] for panel in shown]
    assert len({panel["id"] for panel in shown}) == len({panel["title"] for panel in shown}) == len(places)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for a, b in combinations(places, 2):
        apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart_x or apart_y, (a, b)


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_series_that_is_asked_for_is_exported(where: str, expression: str) -> None:
    """A panel or an alert over a metric that nobody exports would be silent for ever."""
    assert set(METRIC.findall(expression)) <= exported()


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_nobody_counts_nothing(where: str, expression: str) -> None:
    """A panel shows a zero where a process answers that would have counted, not where none is there to count."""
    assert "vector(" not in expression or "ALERTS" in expression


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of Debian's prometheus")
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    """What panels ask for is PromQL."""
    rules = [{"record": f"panel:{number}", "expr": query} for number, (_, query) in enumerate(expressions())]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    command = ["promtool", "check", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout
