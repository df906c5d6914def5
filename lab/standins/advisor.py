"""Plays a model: reads an advisor's question from standard input, and answers by a simple diagnosis of the case.

It knows no more than is in the case, and nothing of the lab: what was tried and failed, what was found on the service,
what its lines say, what helped before, what the runbook names. Each adds to or takes from what speaks for an option;
its confidence is the best option's share of the squares of that, and it abstains where nothing that is left is likely.
Run by a plain interpreter (``-IS``), so it imports the standard library alone.
"""

from __future__ import annotations

import json
import sys
from typing import Any

Case = dict[str, Any]

DOUBT = 1.0
"""What speaks for something that is none of the options."""
TOLD_MIN = 0.35
"""An option that is less likely than this is not named."""
BY_RECORDS = {"proven_fix": 1.0, "unusual_causes": 0.3, "root_cause": 0.5}
"""What a past success weighs, by the brief."""
BRIEFS = {"trusts records": "proven_fix", "nobody thinks of": "unusual_causes"}
CHANGED = ("rollback_config", "rollback_version")
BEGINS_ANEW = ("restart", "start", "reload")
SAYS = {
    "configuration": CHANGED,
    "checksum": CHANGED,
    "corrupt": CHANGED,
    "address already in use": ("kill_blocker", "kill_blocker", "kill_blocker"),
    "unavailable": ("fallback",),
    "slow": ("degrade",),
    "too many open files": ("restart",),
    "too many clients": ("end_idle_sessions",),
}
"""Words of lines, and the verbs that they speak for, as often as they stand here."""
GONE = ("can't open file", "no such file or directory")
"""Words of lines after which no action brings the program back."""


def case_of(text: str) -> Case:
    """Return what stands inside the fence."""
    lines = text.splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("<data "))
    end = next(place for place, line in enumerate(lines) if line.startswith("</data "))
    case: Case = json.loads("\n".join(lines[begin + 1 : end]))
    return case


def brief_of(text: str) -> str:
    """Return which advisor is asked."""
    return next((brief for words, brief in BRIEFS.items() if words in text), "root_cause")


def spoken_for(case: Case, brief: str) -> dict[str, float]:
    """Return what speaks for each option."""
    said = " ".join(one["text"].lower() for one in case["templates"] if one["relation"] == "self")
    failed = {one["action"] for one in case["tried"] if one["outcome"] != "helped"}
    weights = {one["id"]: 2.0 * one["expected_success"] for one in case["options"]}
    for action in weights:
        verb = action.partition(".")[2]
        weights[action] += sum(0.5 for step in case["runbook"]["steps"] if step.startswith(f"{verb}:"))
        weights[action] += sum(verbs.count(verb) for words, verbs in SAYS.items() if words in said)
        weights[action] += BY_RECORDS[brief] * sum(one.get("healed_by") == action for one in case["past"])
        if verb in CHANGED:
            weights[action] += 4.0 * case["findings"].get("configuration_changed", 0.0) + 1.5 * len(failed)
        if action in failed or (verb in BEGINS_ANEW and any(one.partition(".")[2] in BEGINS_ANEW for one in failed)):
            weights[action] *= 0.1
    return {} if any(words in said for words in GONE) else weights


def answer(text: str) -> dict[str, Any]:
    """Return the opinion on a question."""
    case, brief = case_of(text), brief_of(text)
    weights = spoken_for(case, brief)
    best = max(weights, key=lambda action: weights[action], default="")
    share = weights[best] ** 2 / (DOUBT + sum(weight**2 for weight in weights.values())) if best else 0.0
    if share < TOLD_MIN:
        return {"action": "", "confidence": 0.0, "rationale": "nothing that is offered is likely to help"}
    changed = best.partition(".")[2] in CHANGED
    return {
        "action": best,
        "suspect": case["service"],
        "cause": "configuration_error" if changed else case["pattern"],
        "confidence": round(share, 2),
        "rationale": f"{len(case['tried'])} tried; {share:.0%} of what the case says speaks for it",
    }


def main() -> None:
    """Answer one question."""
    sys.stdout.write(json.dumps(answer(sys.stdin.read())))


if __name__ == "__main__":
    main()
