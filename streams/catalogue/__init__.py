"""Data before code: the tables that Logmend ships, each with a typed loader."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from streams.catalogue.actions import actions
from streams.catalogue.metrics import metrics, reliefs
from streams.catalogue.patterns import patterns
from streams.core.strategy import Bound, Catalogue
from streams.core.teams import Teams


@cache
def strategies() -> Catalogue:
    """Return the shipped tables of the core: strategies, specialists, health, and every action offered."""
    raw = _table("strategies.toml")
    raw["teams"] = _raw_teams()
    raw["health"] = _raw_health()
    raw["fixes"] = [fix for row in raw["fixes"] for fix in _by_type(row)]
    catalogue = msgspec.convert(raw, Catalogue)
    offered = tuple(action.row() for action in actions().values() if action.offered)
    return replace(
        catalogue, actions=(*offered, *catalogue.actions), reliefs=reliefs(), bounds=_bounds(), categories=_categories()
    )


def _categories() -> dict[str, str]:
    return {rule.id: rule.category for rule in patterns().rules}


def _bounds() -> dict[str, Bound]:
    """Return the limits of the metrics that ``health.toml`` gives one; percentages are capacity."""
    rows = _raw_health()["metrics"]
    specs = metrics().metrics
    return {
        name: Bound(
            limit=row["limit"],
            least=specs[name].least,
            most=specs[name].most,
            of=row.get("of", "mean"),
            capacity=specs[name].unit == "%",
        )
        for name, row in rows.items()
        if "limit" in row
    }


def _raw_health() -> dict[str, Any]:
    """Return ``health.toml``, each metric with what ``metrics.toml`` divides its totals by, and the most it can be."""
    raw = _table("health.toml")
    for name, spec in metrics().metrics.items():
        raw["metrics"][name] |= {"per": spec.per, "most": spec.most}
    return raw


@cache
def hints() -> dict[str, str]:
    """Return what may resolve an alert, by metric."""
    return {name: row["hint"] for name, row in _raw_health()["metrics"].items()}


@cache
def teams() -> Teams:
    """Return the table of specialists alone, for those who need no other."""
    return msgspec.convert(_raw_teams(), Teams)


def _raw_teams() -> dict[str, Any]:
    return _table("specialists.toml")


def _table(name: str) -> dict[str, Any]:
    """Return a shipped file. ``importlib.resources`` would find it too, for a fifth of the start of every worker."""
    return tomllib.loads(Path(__file__).with_name(name).read_text("utf-8"))


def _by_type(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a shipped fix once for each type of service that it is for."""
    for service_type in row["types"]:
        yield {
            "pattern": row["pattern"],
            "service_type": service_type,
            "action": f"{service_type}.{row['verb']}",
            "confidence": row["confidence"],
        }
