"""Why two decisions on the same incident differ: a gate, a score, a draw, or what they are about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from streams.core.events import Decision, Gate, Option

ACTS: Final = frozenset({"commanded", "approval_requested"})
_ABOUT: Final = ("pattern", "category", "severity")


def why(
    recorded: Decision | None, candidate: Decision | None, asked: Decision | None, asked_other: Decision | None
) -> str:
    """Return in words why the two differ; ``asked`` is the last decision before them that asked the gates, or None.

    Of a decision that one fold did not take, that is what says no to it. First what they are about, then gates (value
    against limit), then scores; at last the reasons that they give themselves.
    """
    if recorded is None or candidate is None:
        taken = recorded or candidate
        other = asked_other if candidate is None else asked
        return _missing(taken, other, of_candidate=candidate is None)
    parts = [
        *(
            f"{name} {_or_none(getattr(recorded, name))} -> {_or_none(getattr(candidate, name))}"
            for name in _ABOUT
            if getattr(recorded, name) != getattr(candidate, name)
        ),
        *_gates(recorded, candidate),
        *_scores(recorded, candidate),
    ]
    asks_otherwise = recorded.kind != candidate.kind and {recorded.kind, candidate.kind} <= ACTS
    if (asks_otherwise or not parts) and recorded.reason != candidate.reason:
        parts += [f"{_or_none(recorded.reason)} -> {_or_none(candidate.reason)}"]
    return "; ".join(parts)


def _missing(taken: Decision | None, other: Decision | None, *, of_candidate: bool) -> str:
    who = "the candidate" if of_candidate else "the log"
    if taken is None:
        return ""
    said_no = [gate for gate in other.gates if not gate.passed] if other is not None else []
    if taken.kind in ACTS | {"planned"} and said_no:
        return f"{who} waits: " + ", ".join(_gate(gate) for gate in said_no)
    if taken.kind == "withheld":
        return (
            "only "
            + ("the log" if of_candidate else "the candidate")
            + " is held: "
            + ", ".join(_gate(gate) for gate in taken.gates if not gate.passed)
        )
    return f"not decided by {who} at this moment" + (f": {taken.reason}" if taken.reason else "")


def _gates(one: Decision, other: Decision) -> Iterator[str]:
    """Yield the gates that answer otherwise. Of one that was not asked by both only a no is told."""
    mine, theirs = _by_name(one), _by_name(other)
    for name in dict.fromkeys([*mine, *theirs]):
        a, b = mine.get(name), theirs.get(name)
        if a is not None and b is not None and a.passed != b.passed:
            yield f"gate {name}: {a.value:g} of {a.limit:g} -> {b.value:g} of {b.limit:g}"
        elif (a is None or b is None) and (asked := a or b) is not None and not asked.passed:
            yield f"gate {_gate(asked)}"


def _scores(one: Decision, other: Decision) -> Iterator[str]:
    mine, theirs = _chosen(one), _chosen(other)
    if mine is None or theirs is None or mine.action == theirs.action:
        return
    before, after = ({option.action: option for option in each.options} for each in (one, other))
    for action in (mine.action, theirs.action):
        yield f"{action} {_option(before.get(action))} -> {_option(after.get(action))}"


def _chosen(decision: Decision) -> Option | None:
    """Return the option that was chosen: by its action, or the best of its strategy where nothing is to be done."""
    action = decision.command.action if decision.command is not None else ""
    fitting = [
        option for option in decision.options if action in {"", option.action} and option.strategy == decision.strategy
    ]
    return max(fitting, key=lambda option: option.score, default=None)


def _option(option: Option | None) -> str:
    """Return score and probability of an option."""
    return f"{option.score:.2f} (p={option.probability:.2g})" if option is not None else "no option"


def _by_name(decision: Decision) -> dict[str, Gate]:
    return {gate.name: gate for gate in decision.gates}


def _gate(gate: Gate) -> str:
    return f"{gate.name} {gate.value:g} of {gate.limit:g}"


def _or_none(text: str) -> str:
    return text or "none"
