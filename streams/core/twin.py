"""Two policies on one log: what another policy decides on the same facts, beside what was decided.

Facts tell what was done under the policy in force, so a candidate can't simply be folded beside it: the commands that
only it would have sent have no outcomes, and it would soon decide about a world that never was. Hence two rules.
What is *observed* (health, rates, templates, forecasts) does not hang on what is done, so the candidate observes by
itself, all the time. What is *done* is taken from the log again after each difference. So every difference answers
one question: with all that had really happened until then, what would the candidate have decided here?

What a candidate alone would have learnt from outcomes (another ``forgetting``) therefore shows until the first
difference only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from streams.core.errors import InvariantError
from streams.core.events import ConfigApplied, Decision, Fact, Slice
from streams.core.fold import Fold
from streams.core.strategy import Catalogue

SAME: Final = "same"
DETAILS: Final = "details"
INSTEAD: Final = "instead"
DROPPED: Final = "dropped"
ADDED: Final = "added"
CHANGES: Final = {
    SAME: "both decide the same",
    DETAILS: "both do the same, for other figures: confidence, options, gates, probabilities",
    INSTEAD: "the candidate decides something else on the incident",
    DROPPED: "only the log has it",
    ADDED: "only the candidate decides it",
}
"""What may become of a decision under another policy."""
DIFFERENT: Final = frozenset({INSTEAD, DROPPED, ADDED})

OBSERVED_KINDS: Final = frozenset(
    {
        "alert_resolved",
        "alerted",
        "anomaly_began",
        "anomaly_ended",
        "assessed",
        "canary_heard",
        "exhaustion_averted",
        "exhaustion_came",
        "exhaustion_expected",
        "forecast",
        "health_changed",
        "lines_late",
        "predicted",
        "rate_subsided",
        "rate_surged",
        "service_evicted",
        "template_joined",
        "template_new",
        "template_surging",
        "template_vanished",
        "tie_found",
        "unfollowed",
    }
)
"""Decisions that say how things are; all others are, or follow from, what is done."""
ANSWERS: Final = ("commanded", "approval_requested", "escalated", "withheld", "planned")
"""What can be decided next on an incident, what weighs most first: one of them stands instead of another."""
_TALK: Final = frozenset({"incident_opened", "severity_raised", "commanded", "approval_requested"})
"""Kinds whose reason explains, and is no part of what is decided."""


class Pair(NamedTuple):
    """A decision of the log and what the candidate decides in its place; one of them is None where there is none."""

    change: str
    recorded: Decision | None
    candidate: Decision | None

    @property
    def known(self) -> Decision:
        """The decision of the log, or else the candidate's."""
        known = self.recorded or self.candidate
        if known is None:
            raise InvariantError("a pair of nothing")
        return known


def substituted(fact: Fact, candidate: ConfigApplied) -> Fact:
    """Return a fact in which every policy that people applied is the candidate's."""
    if not isinstance(fact, Slice) or not any(_is_policy(one.event) for one in fact.messages):
        return fact
    messages = tuple(
        msgspec.structs.replace(one, event=candidate) if _is_policy(one.event) else one for one in fact.messages
    )
    return msgspec.structs.replace(fact, messages=messages)


def _is_policy(event: object) -> bool:
    return isinstance(event, ConfigApplied) and event.kind == "policy"


class Twin:
    """A fold as the log has it, and a candidate beside it. ``recorded`` is the caller's, and is folded here."""

    def __init__(self, recorded: Fold, candidate: ConfigApplied, catalogue: Catalogue) -> None:
        self.recorded = recorded
        self.failures = 0
        """Facts on which the candidate's fold raised; it goes on from the log's state."""
        self._applied = candidate
        self._catalogue = catalogue
        self._candidate = self._begun_anew()
        self._differs = False

    def apply(self, fact: Fact, offset: int, append_ms: int) -> list[Pair]:
        """Fold a fact under both policies, and pair what is decided. Raises what the log's fold raises."""
        self._rejoin()
        recorded = self.recorded.apply(fact, offset, append_ms)
        try:
            candidate = self._candidate.apply(substituted(fact, self._applied), offset, append_ms)
        except (InvariantError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - what decide does with a fact that can't be folded, whatever is raised
            self.failures += 1
            self._candidate = self._begun_anew()
            candidate = []
        return self._paired(recorded, candidate)

    def reject(self, fact: Fact | None, offset: int, append_ms: int, reason: str) -> list[Pair]:
        """Reject a fact under both policies, as the log does."""
        self._rejoin()
        return self._paired(
            self.recorded.reject(fact, offset, append_ms, reason),
            self._candidate.reject(fact, offset, append_ms, reason),
        )

    def _paired(self, recorded: Sequence[Decision], candidate: Sequence[Decision]) -> list[Pair]:
        pairs = list(paired(recorded, candidate))
        self._differs = any(one.change in DIFFERENT and one.known.kind not in OBSERVED_KINDS for one in pairs)
        return pairs

    def _rejoin(self) -> None:
        """After a difference in what is done, go on from what was really done."""
        if self._differs:
            self._candidate.follow(self.recorded)

    def _begun_anew(self) -> Fold:
        fold = Fold.restore(self.recorded.snapshot(), self._catalogue)
        fold.directory.hear(self._applied)
        return fold


def paired(recorded: Sequence[Decision], candidate: Sequence[Decision]) -> Iterator[Pair]:
    """Pair what two folds decided on one fact: in the log's order, then what only the candidate decides."""
    left: dict[tuple[object, ...], list[Decision]] = defaultdict(list)
    for decision in candidate:
        left[_said(decision)].append(decision)
    alone: list[tuple[Decision, Decision | None]] = []
    for decision in recorded:
        alike = left[_said(decision)]
        alone.append((decision, alike.pop(0) if alike else None))
    added = [one for some in left.values() for one in some]
    for decision, other in alone:
        if other is not None:
            yield Pair(SAME if _figures(decision) == _figures(other) else DETAILS, decision, other)
            continue
        instead = _instead(decision, added)
        if instead is not None:
            added.remove(instead)
        yield Pair(INSTEAD if instead else DROPPED, decision, instead)
    yield from (Pair(ADDED, None, one) for one in sorted(added, key=lambda one: one.ordinal))


def _instead(decision: Decision, added: Sequence[Decision]) -> Decision | None:
    """Return what the candidate answers on the same incident."""
    if decision.kind not in ANSWERS:
        return None
    where = _incident(decision)
    answers = [one for one in added if one.kind in ANSWERS and _incident(one) == where]
    return min(answers, key=lambda one: ANSWERS.index(one.kind), default=None)


def _incident(decision: Decision) -> tuple[str, str, str]:
    """Return the incident's identity; one that is opened in this very fact goes by what it is about."""
    here = decision.incident.startswith(f"{decision.epoch}-{decision.facts_offset}-")
    return ("", decision.service, decision.pattern) if here else (decision.incident, "", "")


def _said(decision: Decision) -> tuple[object, ...]:
    """Return what a decision says or does, without its number, figures and explanations."""
    command = decision.command
    return (
        decision.kind,
        _incident(decision),
        decision.service,
        decision.host,
        decision.pattern,
        decision.severity,
        decision.strategy,
        "" if decision.kind in _TALK else decision.reason,
        None if command is None else (command.kind, command.host, command.service, command.action, command.arguments),
    )


def _figures(decision: Decision) -> tuple[object, ...]:
    command = decision.command
    return (
        decision.reason,
        decision.category,
        decision.at_ms,
        decision.count,
        decision.causes,
        decision.confidence,
        decision.options,
        decision.gates,
        decision.figures,
        None if command is None else (command.attempt, command.timeout_ms, command.expires_ms, command.target),
    )
