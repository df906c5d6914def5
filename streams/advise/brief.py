"""What an advisor is told: its brief, the rules for all, and the case inside a fence, within a limit on its size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from streams.advise.answers import Allowed
from streams.advise.dossier import Dossier
from streams.advise.fence import Fenced, fence
from streams.advise.providers.base import Prompt
from streams.catalogue.advisors import Advisor, advisors
from streams.catalogue.patterns import patterns
from streams.catalogue.runbooks import runbook

USER_CHARACTERS_MAX: Final = 16_000
"""About 5 000 tokens: what a case needs, and what a small local model can read."""
NAME_CHARACTERS_MAX: Final = 128
"""A longer name is not shown, and so can't be named."""
TEXT_CHARACTERS_MAX: Final = 200
ITEMS_MAX: Final = 24
"""Of any list, before the whole is made to fit."""
LISTS: Final = ("templates", "neighbours", "past", "symptoms", "known_fixes", "tried", "options")
"""What may be shortened, in this order of preference among those equally long."""


class Asked(Struct, frozen=True, kw_only=True):
    """A prompt, and what its answer may name: what the prompt shows, and nothing else."""

    prompt: Prompt
    allowed: Allowed


def ask(advisor: Advisor, dossier: Dossier) -> Asked:
    """Return what an advisor is asked about an incident."""
    case = _case(dossier)
    fenced = _fitted(case)
    table = advisors()
    system = f"{advisor.brief.strip()}\n\n{table.rules.strip()}\n\nThe fence of this case is {fenced.token}."
    return Asked(prompt=Prompt(system=system, user=fenced.text), allowed=_allowed(case))


def _case(dossier: Dossier) -> dict[str, Any]:
    """Return a case as plain data; every string of it is an id of ours, a name or a template, cut to its limit."""
    question = dossier.question
    book = runbook(question.pattern)
    case: dict[str, Any] = {
        "service": _name(question.service),
        "service_type": dossier.service_type,
        "pattern": _name(question.pattern),
        "category": question.category,
        "severity": question.severity,
        "lines": question.count,
        "minutes_open": round(dossier.minutes_open),
        "signs": sorted(dossier.signs),
        "runbook": {
            "cause": book.cause,
            "look": list(book.look),
            "steps": [f"{step.verb}: {step.why}" for step in book.steps if step.applies(dossier.signs)],
        },
        "causes": sorted({rule.id for rule in patterns().rules} | {_name(question.pattern)} - {""}),
        "findings": {_name(code): value for code, value in list(dossier.findings.items())[:ITEMS_MAX]},
        "tried": _rows(dossier.tried),
        "known_fixes": _rows(dossier.fixes),
        "past": _rows(dossier.past),
        "symptoms": _rows(dossier.symptoms),
        "neighbours": _rows(dossier.neighbours),
        "templates": _rows(dossier.templates),
        "options": [
            {
                "id": one.action,
                "strategy": one.strategy,
                "expected_success": one.expected_success,
                "cost": one.cost,
                "risk": one.risk,
                "score": one.score,
            }
            for one in dossier.options[:ITEMS_MAX]
        ],
    }
    return case


def _rows(items: Sequence[Struct]) -> list[dict[str, Any]]:
    """Return what a list shows: rows without what is empty, none for a service whose name can't be shown."""
    rows = []
    for item in items[:ITEMS_MAX]:
        values = {name: _shown(name, value) for name, value in msgspec.to_builtins(item).items()}
        if values.get("service", "-"):
            rows.append({name: value for name, value in values.items() if value not in ("", [])})
    return rows


def _shown(name: str, value: Any) -> Any:
    if name == "text":
        return value[:TEXT_CHARACTERS_MAX]
    return _name(value) if isinstance(value, str) else value


def _name(text: str) -> str:
    return text if len(text) <= NAME_CHARACTERS_MAX else ""


def _fitted(case: dict[str, Any]) -> Fenced:
    """Fence a case; while it is too long, the longest list loses its last item. ``case`` is what is shown then."""
    while len((fenced := fence(case)).text) > USER_CHARACTERS_MAX:
        longest = max(LISTS, key=lambda name: len(fence({name: case[name]}).text) if case[name] else 0)
        if not case[longest]:
            case["findings"], case["service"], case["pattern"] = {}, "", ""
            return fence(case)
        case[longest].pop()
    return fenced


def _allowed(case: dict[str, Any]) -> Allowed:
    services = {case["service"], *(row["service"] for name in ("symptoms", "neighbours") for row in case[name])}
    return Allowed(
        actions=frozenset(one["id"] for one in case["options"]),
        suspects=frozenset(services - {""}),
        causes=frozenset(case["causes"]),
    )
