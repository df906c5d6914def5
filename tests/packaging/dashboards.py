"""The shipped dashboards and what is asked for in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
DASHBOARDS: Final[dict[str, dict[str, Any]]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
}


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (dashboard and title, panel) of all dashboards."""
    for name, dashboard in DASHBOARDS.items():
        for panel in dashboard["panels"]:
            yield f"{name}: {panel['title']}", panel


def alerts() -> Iterator[tuple[str, str]]:
    """Yield (name, expression) of each alert rule."""
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def expressions() -> Iterator[tuple[str, str]]:
    """Yield (where, expression) of every panel's queries and every alert."""
    for where, panel in panels():
        for target in panel["targets"]:
            yield where, target["expr"]
    yield from alerts()
