"""What both folds decide, side by side: which decisions differ, of which incident, and why.

Two decisions are the same when they do or say the same; scores, ids, numbers and deadlines are what they rest on. An
incident is the same in both folds when it was opened on the same fact, for the same service and pattern.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

from msgspec import Struct

from analytics.backtest.reasons import why
from analytics.backtest.refold import Step
from streams.core.events import Decision

LISTED_MAX: Final = 10_000
"""Differing decisions that are listed; all are counted."""
WORDED: Final = frozenset(
    {
        "commanded",
        "approval_requested",
        "approval_denied",
        "escalated",
        "incident_opened",
        "severity_raised",
        "planned",
        "phase_entered",
        "advice_settled",
        "config_applied",
    }
)
"""Kinds whose reason is what they rest on, not what they say."""

ANSWERS: Final = frozenset({"commanded", "approval_requested", "withheld", "escalated"})
"""Kinds that are answers to one question: what is to be done about an incident."""

Key = tuple[int, str, str]
"""Offset of the fact that an incident was opened on, its service and first pattern."""


_Grouped = dict[Key | str, list[Decision]]


class Said(Struct, frozen=True, kw_only=True):
    """A decision in short. ``action`` is ``""`` where nothing is to be done."""

    id: str
    kind: str
    severity: str
    strategy: str
    action: str
    reason: str


class Differing(Struct, frozen=True, kw_only=True):
    """A decision that would have been another one; None stands for no decision at that moment.

    ``incident`` is the recorded id, the candidate's where only the candidate opened it, ``""`` for none. Downstream is
    what is decided on later facts than the first difference of that incident: it rests on what then did not happen.
    """

    facts_offset: int
    append_ms: int
    incident: str
    service: str
    pattern: str
    recorded: Said | None
    candidate: Said | None
    why: str
    downstream: bool


class Counts(Struct, kw_only=True):
    """How much was compared, and how much differs."""

    decisions: int = 0
    """Recorded decisions from when the candidate is in force."""
    incidents: int = 0
    """Incidents that either fold opened or decided on since then."""
    same: int = 0
    other_figures: int = 0
    """Of the same: they rest on other scores, gates or reasons."""
    differing: int = 0
    """On the first fact on which their incident differs, or of no incident: exact."""
    downstream: int = 0
    incidents_differing: int = 0


class Pair(Struct, frozen=True, kw_only=True):
    """What both folds decide at one place of an incident; at least one is there."""

    recorded: Decision | None
    candidate: Decision | None
    same: bool


class Comparison:
    """Takes steps one by one; ``differing`` are the first ``LISTED_MAX`` exact ones and as many downstream."""

    def __init__(self) -> None:
        self.counts: Final = Counts()
        self.differing: Final[list[Differing]] = []
        self._downstream_listed = 0
        self._mine, self._theirs = _Incidents(), _Incidents()
        self._seen: Final[set[Key]] = set()
        self._apart: Final[dict[Key, int]] = {}
        """Incidents that differ, with the fact on which they did first."""
        self._acted_apart: Final[set[str]] = set()
        """Services on which something else was done already."""

    def take(self, step: Step) -> Iterator[tuple[Pair, bool]]:
        """Compare a step; yield each pair of decisions on an incident with whether it is downstream of a difference."""
        mine, theirs = self._mine.grouped(step.recorded), self._theirs.grouped(step.candidate)
        if step.in_force:
            self.counts.decisions += len(step.recorded)
            yield from self._pairs(step, mine, theirs)
        self._mine.remember(step.recorded)
        self._theirs.remember(step.candidate)

    def _pairs(self, step: Step, mine: _Grouped, theirs: _Grouped) -> Iterator[tuple[Pair, bool]]:
        for key in dict.fromkeys([*mine, *theirs]):
            for pair in aligned(mine.get(key, []), theirs.get(key, [])):
                downstream = self._is_downstream(key, pair, step.facts_offset)
                self._count(step, key, pair, downstream=downstream)
                if isinstance(key, tuple):
                    yield pair, downstream

    def _is_downstream(self, key: Key | str, pair: Pair, facts_offset: int) -> bool:
        if isinstance(key, tuple):
            if key not in self._seen:
                self._seen.add(key)
                self.counts.incidents += 1
            return self._apart.get(key, facts_offset) < facts_offset
        known = pair.recorded or pair.candidate
        return known is not None and known.service in self._acted_apart

    def _count(self, step: Step, key: Key | str, pair: Pair, *, downstream: bool) -> None:
        if pair.same:
            self.counts.same += 1
            self.counts.other_figures += pair.recorded is not None and _figures_differ(pair.recorded, pair.candidate)
            return
        found = self._described(step, key, pair, downstream=downstream)
        if downstream:
            self.counts.downstream += 1
        else:
            self.counts.differing += 1
        if downstream and self._downstream_listed < LISTED_MAX:
            self._downstream_listed += 1
            self.differing.append(found)
        elif not downstream and self.counts.differing <= LISTED_MAX:
            self.differing.append(found)
        if isinstance(key, tuple):
            self._acted_apart.add(key[1])
            if key not in self._apart:
                self._apart[key] = step.facts_offset
                self.counts.incidents_differing += 1

    def _described(self, step: Step, key: Key | str, pair: Pair, *, downstream: bool) -> Differing:
        known = pair.recorded or pair.candidate
        if known is None:
            raise ValueError("a pair without decisions")
        incident = ""
        if isinstance(key, tuple):
            incident = self._mine.ids.get(key) or self._theirs.ids.get(key, "")
        return Differing(
            facts_offset=step.facts_offset,
            append_ms=step.append_ms,
            incident=incident,
            service=known.service,
            pattern=known.pattern,
            recorded=said(pair.recorded),
            candidate=said(pair.candidate),
            why=why(
                pair.recorded,
                pair.candidate,
                self._mine.weighed.get(key),
                self._theirs.weighed.get(key),
            ),
            downstream=downstream,
        )


class _Incidents:
    """Of one fold: its incidents by what they are in both, and the last decision on each that asked the gates."""

    def __init__(self) -> None:
        self.ids: Final[dict[Key, str]] = {}
        self.weighed: Final[dict[Key | str, Decision]] = {}
        self._keys: Final[dict[str, Key]] = {}

    def grouped(self, decisions: Sequence[Decision]) -> _Grouped:
        """Return decisions by incident, or by kind and service where there is none."""
        found: _Grouped = defaultdict(list)
        for one in decisions:
            if one.kind == "incident_opened":
                key = (one.facts_offset, one.service, one.pattern)
                self._keys[one.incident] = key
                self.ids[key] = one.incident
            found[self._keys.get(one.incident, f"{one.kind} {one.service}")].append(one)
        return found

    def remember(self, decisions: Sequence[Decision]) -> None:
        """Keep the last decision on each incident that asked the gates; forget what is closed."""
        for one in decisions:
            key = self._keys.get(one.incident)
            if key is None:
                continue
            if one.gates:
                self.weighed[key] = one
            if one.kind == "incident_closed":
                del self._keys[one.incident]
                self.weighed.pop(key, None)


def aligned(recorded: Sequence[Decision], candidate: Sequence[Decision]) -> Iterator[Pair]:
    """Pair decisions of one incident and fact, in order; what one fold leaves out is paired with None."""
    mine, theirs = [substance(one) for one in recorded], [substance(one) for one in candidate]
    if mine == theirs:
        yield from (Pair(recorded=a, candidate=b, same=True) for a, b in zip(recorded, candidate, strict=True))
        return
    for what, begin, end, begin_other, end_other in SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        if what == "equal":
            pairs = zip(recorded[begin:end], candidate[begin_other:end_other], strict=True)
            yield from (Pair(recorded=one, candidate=other, same=True) for one, other in pairs)
        else:
            yield from _matched(recorded[begin:end], candidate[begin_other:end_other])


def _matched(recorded: Sequence[Decision], candidate: Sequence[Decision]) -> Iterator[Pair]:
    """Pair decisions that differ with those that answer the same question; what is left stands alone."""
    left = list(candidate)
    for one in recorded:
        other = next((other for other in left if _question(other) == _question(one)), None)
        if other is not None:
            left.remove(other)
        yield Pair(recorded=one, candidate=other, same=False)
    yield from (Pair(recorded=None, candidate=other, same=False) for other in left)


def _question(decision: Decision) -> str:
    return "what to do" if decision.kind in ANSWERS else decision.kind


def substance(decision: Decision) -> Hashable:
    """Return what a decision does or says."""
    command = decision.command
    return (
        decision.kind,
        decision.service,
        decision.host,
        decision.pattern,
        decision.category,
        decision.severity,
        decision.strategy,
        (command.kind, command.action, command.arguments) if command is not None else (),
        "" if decision.kind in WORDED else decision.reason,
        _is_alarm(decision),
    )


def _is_alarm(decision: Decision) -> bool:
    """Tell whether a prediction is an alarm: the threshold stands in it."""
    figures = {one.name: one.value for one in decision.figures} if decision.kind == "predicted" else {}
    return bool(figures) and figures.get("probability", 0.0) >= figures.get("alarm", 1.0)


def _figures_differ(one: Decision, other: Decision | None) -> bool:
    if other is None:
        return True
    rest = ("options", "gates", "figures", "confidence", "reason")
    return any(getattr(one, name) != getattr(other, name) for name in rest)


def said(decision: Decision | None) -> Said | None:
    """Return a decision in short."""
    if decision is None:
        return None
    return Said(
        id=decision.id,
        kind=decision.kind,
        severity=decision.severity,
        strategy=decision.strategy,
        action=decision.command.action if decision.command is not None else "",
        reason=decision.reason,
    )
