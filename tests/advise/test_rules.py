"""What the rules answer to the six questions."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from streams.advise.questions import Category, Decided, Question, ServiceType, Severity
from streams.advise.rules import by_rules
from streams.catalogue import strategies
from streams.core.errors import InputError
from streams.core.events import CATEGORIES, SEVERITIES
from streams.core.inventory import SERVICE_TYPES

ASKING: TypeAdapter[Any] = TypeAdapter(Question)
CALM = [50.0 + minute % 3 for minute in range(120)]


def ruled(decision: str, **fields: Any) -> Decided:
    """Return what the rules answer."""
    return by_rules(ASKING.validate_python({"decision": decision, **fields}))


def test_the_wires_words_are_the_cores() -> None:
    """Severities, categories and types of services on the wire are those that the core knows."""
    assert get_args(Severity) == SEVERITIES
    assert get_args(Category) == ("", *CATEGORIES)
    assert get_args(ServiceType) == SERVICE_TYPES


@pytest.mark.parametrize(
    ("values", "said"), [([*CALM, 95.0], "act"), (CALM, "ignore"), ([50.0, 90.0], "ignore"), ([50.0] * 200, "ignore")]
)
def test_an_anomaly_is_what_the_series_past_does_not_know(values: list[float], said: str) -> None:
    """A leap out of a calm series is to be acted on; the calm itself, and what has no past, are not."""
    answer = ruled("anomaly_analysis", metric="memory", values=values)
    assert answer.recommendation == said


def test_little_history_makes_little_sure() -> None:
    """Of two equal leaps the one after a longer calm is told with more confidence."""
    short, long = (ruled("anomaly_analysis", metric="cpu", values=[*CALM[:size], 95.0]) for size in (40, 120))
    assert short.recommendation == long.recommendation == "act"
    assert short.confidence < long.confidence < 1.0


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        ({"pattern": "process_crash"}, "process.restart"),
        ({"pattern": "process_crash", "service_type": "kubernetes"}, "kubernetes.restart"),
        (
            {"pattern": "configuration_error", "declared": ["argv", "config_files", "checkpoint_dir"]},
            "process.rollback_config",
        ),
        ({"pattern": "disk_full", "declared": ["argv", "caches"]}, "process.clear_caches"),
        ({"pattern": "tls_certificate", "declared": ["argv", "tool:renew_certificate"]}, "process.renew_certificate"),
        ({"pattern": "performance_degradation", "declared": ["argv", "switch:feature"]}, "process.degrade"),
        ({"pattern": "process_crash", "failed": {"process.restart": 8}}, "process.start"),
        ({"pattern": "process_crash", "declared": ["port"]}, "escalate"),
    ],
)
def test_a_recovery_is_what_the_catalogue_says(fields: dict[str, Any], action: str) -> None:
    """The shipped fix for the pattern and type of service, of what is declared; what failed gives way."""
    answer = ruled("recovery_selection", **fields)
    assert answer.recommendation == action
    assert action not in {one.recommendation for one in answer.alternatives}


@pytest.mark.parametrize("part", ["switch:rm", "tool:sh", "environment", "name", "nothing", "mode"])
def test_only_parts_of_an_inventory_can_be_declared(part: str) -> None:
    """What is no part that an action needs is refused by its name."""
    with pytest.raises(InputError, match=part):
        ruled("recovery_selection", pattern="process_crash", declared=[part])


def test_a_specialist_comes_with_its_support() -> None:
    """An exhausted pool is the database optimizer's, with those who support it, hierarchically, and called at once."""
    answer = ruled("agent_selection", pattern="database_connection", severity="critical")
    assert answer.recommendation == "database-optimizer"
    assert answer.support == ["performance-optimizer", "network-engineer"]
    assert [one.recommendation for one in answer.alternatives] == answer.support
    assert "hierarchical" in answer.reason
    assert ruled("agent_selection", pattern="unheard_of").recommendation == "error-detective"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"action": "process.restart"}, "auto"),
        ({"action": "process.restart", "dependents": 10_000}, "auto"),
        ({"action": "process.kill_blocker", "neighbours": 10_000}, "auto"),
        ({"action": "unheard.of"}, "approve"),
    ],
)
def test_risk_is_the_cores(fields: dict[str, Any], said: str) -> None:
    """The catalogue's actions have the core's risk, anything else is as risky as can be."""
    answer = ruled("risk_assessment", **fields)
    assert answer.recommendation == said
    assert answer.figures["risk"] == (1.0 if said == "approve" else pytest.approx(answer.figures["risk"]))


@pytest.mark.parametrize(
    ("severity", "share", "level"),
    [("fatal", 1.0, "critical"), ("critical", 0.5, "high"), ("error", 0.5, "medium"), ("info", 1.0, "low")],
)
def test_an_impact_has_a_level(severity: str, share: float, level: str) -> None:
    """Severity times the largest share gives the level."""
    answer = ruled("impact_estimation", severity=severity, users=share, technology=0.01)
    assert answer.recommendation == level
    assert answer.figures["impact_users"] == pytest.approx(strategies().risk.severities[severity] * share)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([40.0 + minute for minute in range(40)], "scale_up"),
        ([70.0] * 60, "hold"),
        ([5.0] * 60, "scale_down"),
        ([99.0, 99.0], "hold"),
    ],
)
def test_capacity_follows_the_forecast(values: list[float], said: str) -> None:
    """Use on its way to the limit wants more units, little use fewer, and what can't be forecast none."""
    answer = ruled(
        "resource_planning", metric="disk", values=values, limit=100.0, units=2 if said == "scale_down" else 1
    )
    assert answer.recommendation == said
    assert (answer.confidence == 0.0) is (len(values) < 10)


@pytest.mark.parametrize(
    "wrong",
    [
        {"decision": "anomaly_analysis", "metric": "cpu", "values": [1.0, float("nan")]},
        {"decision": "anomaly_analysis", "metric": "cpu", "values": [1.0] * 2_000},
        {"decision": "recovery_selection", "pattern": "a b"},
        {"decision": "recovery_selection", "pattern": "process_crash", "severity": "awful"},
        {"decision": "impact_estimation", "severity": "error", "technology": 1.1},
        {"decision": "risk_assessment", "action": "process.restart", "dependents": -1},
        {"decision": "risk_assessment", "action": "process.restart", "command": "rm -rf /"},
        {"decision": "order_pizza"},
        {},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """Values outside their bounds, fields that there are not and other decisions are no questions."""
    with pytest.raises(ValidationError):
        ASKING.validate_python(wrong)
