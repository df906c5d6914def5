"""The alert rules fire when they should and only then: their own tests, run by promtool."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from annotated_types import Le

from streams.runtime.supervisor import ROLES
from streams.settings import Settings

PROMETHEUS: Final = Path(__file__).parents[2] / "deploy" / "prometheus"
TESTS: Final = sorted((PROMETHEUS / "tests").glob("*.yml"))
RULES: Final[list[dict[str, Any]]] = [
    rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
KINDS: Final = {*ROLES, "advise", "notify", "web"}
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of Debian's prometheus")


def named(rule: dict[str, Any]) -> str:
    """Return what a rule is called in a test of it."""
    return " ".join(filter(None, (rule["alert"], rule["labels"].get("process"))))


def cases() -> set[tuple[str, bool]]:
    """Return (rule, whether it is to fire) of every case in the tests."""
    found = set()
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["promql_expr_test"]:
                labels = dict(re.findall(r'(\w+)="(\w+)"', case["expr"]))
                name = " ".join(filter(None, (labels["alertname"], labels.get("process"))))
                found.add((name, bool(case["exp_samples"])))
    return found


@needs_promtool
@pytest.mark.parametrize("what", [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml")])
def test_prometheus_takes_the_files(what: tuple[str, ...]) -> None:
    """Configuration and rules are what Prometheus understands, templates included."""
    done = subprocess.run(["promtool", *what], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should(path: Path) -> None:
    """Over the series of a test each rule fires at the moments that it names, and not at the others."""
    command = ["promtool", "test", "rules", path.name]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fires", [True, False])
def test_every_alert_has_a_case(*, fires: bool) -> None:
    """There is one in which it fires and one in which it does not."""
    assert {name for name, expected in cases() if expected is fires} >= {named(rule) for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_every_alert_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    """Whoever is woken knows what is wrong, how bad it is, and where to begin."""
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert len(rule["annotations"]["summary"]) > 20
    assert len(rule["annotations"]["runbook"]) > 50


def test_every_kind_of_process_is_missed() -> None:
    """A kind of which no process answers is an alarm, also when nobody lists it any more."""
    absent = {rule["labels"]["process"]: rule["expr"] for rule in RULES if "process" in rule["labels"]}
    assert set(absent) == KINDS
    assert all(f'absent(up{{job="{kind}"}} == 1)' in expression for kind, expression in absent.items())


def test_the_canary_is_not_missed_before_it_is_due() -> None:
    """However seldom it may be told to sing, it does so before the alert takes it for silent."""
    (rule,) = (one for one in RULES if one["alert"] == "LogmendCanarySilent")
    (patience,) = map(int, re.findall(r"> (\d{3,})", rule["expr"]))
    (bound,) = (one for one in Settings.model_fields["canary_seconds"].metadata if isinstance(one, Le))
    assert patience >= int(str(bound.le)) + 60


def test_no_rule_is_there_twice() -> None:
    """Two rules of one name would hide each other."""
    names = [named(rule) for rule in RULES]
    assert len(set(names)) == len(names)
