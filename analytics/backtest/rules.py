"""Detections as other rules would have had them, as far as the log still knows the lines.

Detect matched the lines when they came; the fold has detections. Under a candidate's rules a detection is judged anew
by its lines that are kept as evidence (the first three of it, redacted, for some weeks), if they show under the rules
of that time what was recorded. Where none is kept, a rule of which only category, severity or confidence changed is
applied by the table. Everything else stays as it was recorded, and is counted. Lines in which nothing was seen are not
kept: what a new rule would see in them is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from analytics.tables import Row
from streams.core.config import RuleSet, RuleSpec, canonical
from streams.core.events import Detection, Slice, Tally
from streams.ingest.levels import of_match
from streams.ingest.matcher import Matcher, Verdict, merged

EVIDENCE_COLUMNS: Final = ["kafka_append_ms", "topic", "partition", "offset", "index", "text"]
HELD_MAX: Final = 100_000
"""Lines that wait for their slice; of slices that never counted some stay."""
LEVELS: Final = ("", "warning", "critical", "fatal")
"""What a line may say of itself that moves a rule's severity."""

_Key = tuple[str, str, str, str]
"""Service, pattern, severity and template of detections and tallies."""


class Refolded(Struct, kw_only=True):
    """How many lines in detections were judged anew, and how. All are 0 when the candidate is no rules."""

    by_lines: int = 0
    by_table: int = 0
    changed: int = 0
    """Of both: lines that are now of another pattern, severity or none."""
    as_recorded: int = 0
    """Lines that no kept line stands for, or whose kept lines would differ among themselves."""


class Rules:
    """Judges the detections of slices under a candidate's rules; ``evidence`` are kept lines in their order."""

    def __init__(self, candidate: RuleSet | None, evidence: Iterator[Row]) -> None:
        """Compile the rules; raises ``InputError`` when they don't. None: nothing is judged anew."""
        self._new: Final = merged(candidate) if candidate is not None else None
        self._evidence: Final = evidence
        self._next: Row | None = None
        self._held: Final[dict[tuple[str, int, int, int], bytes]] = {}
        self._compiled: Final[dict[bytes, Matcher]] = {}
        self.told: Final = Refolded()

    def refolded(self, fact: Slice, append_ms: int, in_force: RuleSet) -> Slice:
        """Return a slice with its detections and tallies as the candidate has them; ``in_force`` was when it came."""
        if self._new is None or not fact.detections:
            return fact
        self._read_to(append_ms)
        old = self._compiled_of(in_force)
        found: list[Detection] = []
        moved: dict[_Key, set[_Key]] = {}
        for detection in fact.detections:
            again = self._again(fact, detection, old, self._new)
            if again.pattern:
                found.append(again)
            elif not detection.pattern:
                found.append(detection)
            moved.setdefault(_key(detection), set()).add(_key(again))
        return replace(fact, detections=tuple(found), tallies=tuple(_moved(one, moved) for one in fact.tallies))

    def _compiled_of(self, rules: RuleSet) -> Matcher:
        body = canonical(rules)
        if body not in self._compiled:
            self._compiled[body] = merged(rules)
        return self._compiled[body]

    def _read_to(self, append_ms: int) -> None:
        """Take in the lines that were appended before a slice."""
        row = self._next or next(self._evidence, None)
        while row is not None and row["kafka_append_ms"] <= append_ms:
            if len(self._held) >= HELD_MAX:
                del self._held[next(iter(self._held))]
            self._held[row["topic"], row["partition"], row["offset"], row["index"]] = row["text"].encode()
            row = next(self._evidence, None)
        self._next = row

    def _again(self, fact: Slice, detection: Detection, old: Matcher, new: Matcher) -> Detection:
        """Return a detection as the new rules have it; without a pattern when nothing is seen any more."""
        places = [(fact.source, fact.partition, line.offset, line.index) for line in detection.lines]
        texts = [self._held.pop(place) for place in places if place in self._held]
        judged = [(was, new.scan(text)) for text in texts if (was := old.scan(text)).pattern == detection.pattern]
        verdicts = {_read_of(detection, was, would) for was, would in judged}
        if len(verdicts) == 1:
            self.told.by_lines += detection.count
            return self._changed(detection, *verdicts.pop())
        by_table = None if verdicts else _by_table(detection, old, new)
        if by_table is None:
            self.told.as_recorded += detection.count
            return detection
        self.told.by_table += detection.count
        return self._changed(detection, *by_table)

    def _changed(
        self, detection: Detection, pattern: str, category: str, severity: str, confidence: float
    ) -> Detection:
        again = replace(
            detection,
            pattern=pattern,
            category=category,
            severity=severity,
            confidence=confidence,
            template="" if pattern else detection.template,
        )
        self.told.changed += detection.count if again != detection else 0
        return again


_Read = tuple[str, str, str, float]


def _read_of(detection: Detection, was: Verdict, would: Verdict) -> _Read:
    """Return pattern, category, severity and confidence of a line that was read again."""
    if (was.pattern, was.category, was.severity, was.confidence) == (
        would.pattern,
        would.category,
        would.severity,
        would.confidence,
    ):
        return detection.pattern, detection.category, detection.severity, detection.confidence
    level = _level_of(detection.severity, was.severity) if was.pattern else detection.severity
    return would.pattern, would.category, of_match(would.severity, level), would.confidence


def _level_of(recorded: str, default: str) -> str:
    """Return what the line must have said of itself, for the rule's severity to become the recorded one."""
    return next((level for level in LEVELS if of_match(default, level) == recorded), "")


def _by_table(detection: Detection, old: Matcher, new: Matcher) -> _Read | None:
    """Return what the rule's row says, if all rules match as before; None when the line itself is needed."""
    was, would = _rule(old, detection.pattern), _rule(new, detection.pattern)
    if not detection.pattern or was is None or would is None or not _match_alike(old, new):
        return None
    severity = detection.severity
    if was.severity != would.severity:
        severity = of_match(would.severity, _level_of(detection.severity, was.severity))
    return would.id, would.category, severity, would.confidence


def _rule(matcher: Matcher, pattern: str) -> RuleSpec | None:
    return next((rule for rule in matcher.rules if rule.id == pattern), None)


def _match_alike(old: Matcher, new: Matcher) -> bool:
    """Tell whether two sets of rules see the same rules in every line."""
    mine, theirs = ([_seen_by(rule) for rule in matcher.rules] for matcher in (old, new))
    return mine == theirs


def _seen_by(rule: RuleSpec) -> tuple[object, ...]:
    return rule.id, rule.expressions, rule.unless, rule.raises, rule.case_sensitive


def _key(detection: Detection) -> _Key:
    return detection.service, detection.pattern, detection.severity, detection.template


def _moved(tally: Tally, moved: dict[_Key, set[_Key]]) -> Tally:
    """Return a tally as its detections are now; as it was where they have become several things."""
    there = moved.get((tally.service, tally.pattern, tally.severity, tally.template), set())
    if len(there) != 1:
        return tally
    ((_, pattern, severity, template),) = there
    return replace(tally, pattern=pattern, severity=severity, template=template)
