"""Questions and dossiers for the tests of this room, made by hand."""

from __future__ import annotations

from typing import Any

from streams.advise.dossier import Dossier, Symptom, Template, Trouble, type_of
from streams.core.choosing import worth_doing
from streams.core.events import Decision, Option

START_MS = 1_800_000_000_000


def option(action: str, score: float = 0.5, **fields: Any) -> Option:
    """Return an option that may be chosen."""
    values: dict[str, Any] = {
        "strategy": "escalate" if action == "escalate" else "restart",
        "action": action,
        "expected_success": score,
        "cost": 0.1,
        "risk": 0.2,
        "score": score,
        "probability": 0.0,
        "barred": "",
    }
    return Option(**{**values, **fields})


OPTIONS = (
    option("process.restart", 0.6),
    option("process.rollback_config", 0.4, strategy="rollback"),
    option("process.stop", 0.1, strategy="isolate", barred="shadow"),
    option("escalate", 0.0),
)


def question(**fields: Any) -> Decision:
    """Return a decision ``advice_asked`` about a crash of the service ``shop``."""
    values: dict[str, Any] = {
        "seq": 100,
        "id": "1-50-0",
        "epoch": 1,
        "facts_offset": 50,
        "ordinal": 0,
        "kind": "advice_asked",
        "reason": "one",
        "incident": "1-40-0",
        "service": "shop",
        "host": "h1",
        "pattern": "process_crash",
        "category": "process",
        "severity": "critical",
        "at_ms": START_MS,
        "now_ms": START_MS,
        "append_ms": START_MS,
        "count": 3,
        "causes": (),
        "policy_sha256": "",
        "rules_sha256": "",
        "inventory_sha256": "",
        "confidence": 0.0,
        "strategy": "",
        "options": OPTIONS,
        "gates": (),
        "command": None,
        "refers_to": "",
        "previous_sha256": "",
        "figures": (),
    }
    return Decision(**{**values, **fields})


def dossier(asked: Decision | None = None, **fields: Any) -> Dossier:
    """Return what is known of a question, by default nothing."""
    asked = asked or question()
    known = {"question": asked, "service_type": type_of(asked), "options": worth_doing(asked.options)}
    return Dossier(**{**known, **fields})


def template(text: str, service: str = "shop") -> Template:
    """Return a template of lines of a service."""
    return Template(service=service, relation="self", pattern="", severity="error", lines=3, seconds=-2, text=text)


def trouble(service: str, relation: str = "dependency", **fields: Any) -> Trouble:
    """Return an incident of a neighbour, open, a few seconds older."""
    values: dict[str, Any] = {
        "service": service,
        "relation": relation,
        "kind": "incident_opened",
        "what": "disk_full",
        "severity": "critical",
        "seconds": -4,
        "is_open": True,
    }
    return Trouble(**{**values, **fields})


def symptom(service: str, pattern: str = "process_crash") -> Symptom:
    """Return a symptom of the incident."""
    return Symptom(service=service, pattern=pattern, lines=2, seconds=0)
