"""Adds up into slices: equal detections become one with a count, lines tallies and metrics samples per second."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

from msgspec import Struct

from streams.core.beside import Evidence
from streams.core.events import CAUSES_MAX, Detection, LineAt, Message, Reject, Slice, Tally
from streams.core.tracing import traceparent
from streams.ingest.matcher import LINE_BYTES_MAX, Verdict
from streams.ingest.metrics.summing import SampleSums
from streams.ingest.redact import Redactor
from streams.ingest.shedding import KEPT, TEMPLATES, TEXTS
from streams.ports import Headers

SLICE_BYTES_MAX: Final = 500_000
"""A slice is closed at the first record after which its estimated encoding exceeds this; a fact is at most 1 MB."""
_TALLY_BYTES: Final = 30
_DETECTION_BYTES: Final = 100
_REJECT_BYTES: Final = 16


class Source(Struct, frozen=True):
    """The holding under which slices are cut."""

    topic: str
    partition: int
    term: int
    rules_sha256: str


class Sight(Struct, frozen=True):
    """One detected line: whose it is, what was seen, when, and the text and place that stand for it."""

    service: str
    service_rule: str
    host: str
    verdict: Verdict
    severity: str
    template: str
    at_ms: int
    offset: int
    index: int
    text: bytes


class _Sum(Struct):
    """A detection under way."""

    verdict: Verdict
    count: int
    at_first_ms: int
    at_last_ms: int
    lines: list[LineAt]
    trace: str = ""


TallyKey = tuple[int, str, str, str, str]
"""(second in ms, service, severity, pattern, template)."""


class Gatherer:
    """Collects what the records of one cut say. ``close`` ends a slice at a record boundary."""

    def __init__(self, source: Source, redactor: Redactor, from_offset: int, rung: int = 0) -> None:
        self._source: Final = source
        self._rung: Final = rung
        self._shed_templates = self._shed_texts = 0
        self.redactor: Final = redactor
        self._from_offset = from_offset
        self.tallies: dict[TallyKey, int] = {}
        self._sums: dict[tuple[str, str, str, str, str, str], _Sum] = {}
        self.messages: list[Message] = []
        self.rejects: list[Reject] = []
        self.evidence: Final[list[Evidence]] = []
        self.slices: Final[list[Slice]] = []
        self.sums = SampleSums()
        self.headers: Headers = ()
        """Those of the record that is being taken."""
        self.at_max_ms = 0
        self.append_max_ms = 0
        self.message_bytes = 0
        self._sum_bytes = 0
        self._tally_bytes = self._weighed = 0

    def detect(self, sight: Sight) -> None:
        """Count a detected line; the first ``CAUSES_MAX`` places of equal detections are named, with evidence."""
        pattern = sight.verdict.pattern
        key = (sight.service, sight.service_rule, sight.host, pattern, sight.severity, sight.template)
        found = self._sums.get(key)
        if found is None:
            self._sum_bytes += _DETECTION_BYTES + sum(map(_bytes_of, key))
            found = self._sums[key] = _Sum(sight.verdict, 0, sight.at_ms, sight.at_ms, [])
        found.count += 1
        found.at_first_ms = min(found.at_first_ms, sight.at_ms)
        found.at_last_ms = max(found.at_last_ms, sight.at_ms)
        if self.headers and not found.trace:
            found.trace = traceparent(self.headers)
            self._sum_bytes += len(found.trace)
        if len(found.lines) < CAUSES_MAX:
            self._name(found, sight)

    def _name(self, found: _Sum, sight: Sight) -> None:
        """Name a line as a cause, unless a continuation already named its head."""
        place = LineAt(offset=sight.offset, index=sight.index)
        if place in found.lines:
            return
        found.lines.append(place)
        if self._rung >= TEXTS and sight.severity not in KEPT:
            self._shed_texts += 1
            return
        self.evidence.append(
            Evidence(
                topic=self._source.topic,
                partition=self._source.partition,
                offset=sight.offset,
                index=sight.index,
                service=self.redactor.name(sight.service),
                pattern=sight.verdict.pattern,
                severity=sight.severity,
                at_ms=sight.at_ms,
                text=self.redactor.line(sight.text, LINE_BYTES_MAX),
            )
        )

    def coarsens(self, severity: str) -> bool:
        """Say whether a line of this severity gets no template now, and count it."""
        if self._rung < TEMPLATES or severity in KEPT:
            return False
        self._shed_templates += 1
        return True

    def reject(self, offset: int, index: int, reason: str) -> None:
        """Account for a record (or a line of it) that no decoder took."""
        self.rejects.append(Reject(offset=offset, index=index, reason=self.redactor.text(reason)))

    @property
    def to_offset(self) -> int:
        """Return the offset at which the slice under way begins."""
        return self._from_offset

    @property
    def full(self) -> bool:
        """Whether the slice under way should end at the next record boundary; a rough count comes before the exact."""
        rough = len(self.tallies) * _TALLY_BYTES + len(self.rejects) * _REJECT_BYTES + self._sum_bytes
        rough += self.sums.size_bytes
        return rough + self.message_bytes > SLICE_BYTES_MAX // 5 and self.estimate() > SLICE_BYTES_MAX

    def estimate(self) -> int:
        """Return about how many bytes the slice under way takes encoded; names count as long as they may be."""
        fresh = islice(self.tallies, self._weighed, None)  # a dict keeps its order, and no tally is ever taken out
        self._tally_bytes += sum(_bytes_of(key[1]) + len(key[3]) + len(key[4]) + _TALLY_BYTES for key in fresh)
        self._weighed = len(self.tallies)
        rejects = sum(len(reject.reason) + _REJECT_BYTES for reject in self.rejects)
        return self._tally_bytes + rejects + self._sum_bytes + self.message_bytes + self.sums.size_bytes

    def close(self, to_offset: int) -> None:
        """End the slice before ``to_offset`` and begin the next one there."""
        named = self.redactor.name
        self.slices.append(
            Slice(
                source=self._source.topic,
                partition=self._source.partition,
                term=self._source.term,
                from_offset=self._from_offset,
                to_offset=to_offset,
                rules_sha256=self._source.rules_sha256,
                lines=sum(self.tallies.values()),
                at_max_ms=self.at_max_ms,
                append_max_ms=self.append_max_ms,
                detections=tuple(_detection(key, found, named) for key, found in self._sums.items()),
                tallies=tuple(_tally(key, count, named) for key, count in self.tallies.items()),
                messages=tuple(self.messages),
                rejects=tuple(self.rejects),
                points=self.sums.points,
                unmapped=self.sums.unmapped,
                samples=self.sums.samples(named),
                shed_templates=self._shed_templates,
                shed_texts=self._shed_texts,
            )
        )
        self._from_offset = to_offset
        self.tallies, self._sums, self.messages, self.rejects = {}, {}, [], []
        self.sums = SampleSums()
        self.at_max_ms = self.append_max_ms = self.message_bytes = self._sum_bytes = 0
        self._tally_bytes = self._weighed = self._shed_templates = self._shed_texts = 0


def _bytes_of(name: str) -> int:
    return len(name) if name.isascii() else len(name.encode("utf-8", "replace"))


def _detection(key: tuple[str, str, str, str, str, str], found: _Sum, named: Callable[[str], str]) -> Detection:
    service, service_rule, host, pattern, severity, template = key
    return Detection(
        service=named(service),
        service_rule=service_rule,
        host=named(host),
        pattern=pattern,
        category=found.verdict.category,
        severity=severity,
        template=template,
        confidence=found.verdict.confidence,
        count=found.count,
        at_first_ms=found.at_first_ms,
        at_last_ms=found.at_last_ms,
        lines=tuple(found.lines),
        trace=found.trace,
    )


def _tally(key: TallyKey, count: int, named: Callable[[str], str]) -> Tally:
    at_ms, service, severity, pattern, template = key
    return Tally(
        at_ms=at_ms, service=named(service), severity=severity, pattern=pattern, template=template, count=count
    )
