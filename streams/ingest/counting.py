"""From a line that was read to what is counted: its severity, its template, its time, its detection."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from streams.ingest import levels, masking, stamps
from streams.ingest.gather import Gatherer, Sight
from streams.ingest.matcher import Matcher, Verdict
from streams.ingest.redact import cut
from streams.ingest.zones import TopicZones

_CALM: Final = re.compile(rb"\b(?:INFO|DEBUG|TRACE|NOTICE|info|debug|trace|notice|noti)\b")
_CALM_BYTES: Final = 200
_TEMPLATES_MAX: Final = 2000
NAMED_PER_RECORD_MAX: Final = 1_000
"""Lines of one record that get a template. Those after them that look like errors are counted by their severity alone:
a template costs as much as all else of a line, and a record of thousands of them must not hold a process up."""


class Place(Struct, frozen=True):
    """Whose line it is and which coordinates stand for it."""

    service: str
    rule: str
    host: str
    offset: int
    index: int
    text: bytes


class Counting:
    """Counts lines of one cut into its gatherer."""

    def __init__(self, matcher: Matcher, gatherer: Gatherer, zones: TopicZones) -> None:
        self.scan: Final = matcher.scan
        self.gatherer: Final = gatherer
        self._zones: Final = zones
        self.stamps_replaced = 0
        self._templates: Final[dict[bytes, str]] = {}
        self._named_in = -1
        self._named = 0

    def event_time(self, stamp: int, append_ms: int, service: str, host: str) -> int:
        """Return the time that a stamp means when that can be true, else the append time, and count the latter.

        ``stamp`` is as ``streams.ingest.stamps`` has it; service and host say in which zone one without a zone is read.
        """
        if not stamp:
            return append_ms
        at_ms = self._zones.at_ms(stamp, append_ms, service, host)
        if stamps.plausible(at_ms, append_ms):
            return at_ms
        self.stamps_replaced += 1
        return append_ms

    def plain(self, service: str, severity: str, at_ms: int) -> None:
        """Count a line in which nothing was seen."""
        key = (at_ms - at_ms % 1000, service, severity, "", "")
        tallies = self.gatherer.tallies
        tallies[key] = tallies.get(key, 0) + 1

    def seen(self, place: Place, verdict: Verdict, level: str, at_ms: int, *, template: bool = True) -> bool:
        """Count a line of which the scan said something; return whether it was detected.

        ``level`` is what a field or prefix says and wins over the text's. A line that looks like an error and matches
        no rule gets a template, unless ``template`` is off (the line is a part of another).
        """
        severity, wrong = severity_of(verdict, level or verdict.level, place.text)
        if not verdict.pattern and not (wrong and template):
            self.plain(place.service, level or verdict.level or "info", at_ms)
            return False
        template_id = "" if verdict.pattern else self._template(place.text, place.offset, severity)
        if not template_id and not verdict.pattern:
            self.plain(place.service, severity, at_ms)
            return False
        key = (at_ms - at_ms % 1000, place.service, severity, verdict.pattern, template_id)
        tallies = self.gatherer.tallies
        tallies[key] = tallies.get(key, 0) + 1
        self.gatherer.detect(
            Sight(
                service=place.service,
                service_rule=place.rule,
                host=place.host,
                verdict=verdict,
                severity=severity,
                template=template_id,
                at_ms=at_ms,
                offset=place.offset,
                index=place.index,
                text=place.text,
            )
        )
        return True

    def _template(self, text: bytes, offset: int, severity: str) -> str:
        """Return the template id of a text, ``""`` when its record has had enough of them, or under pressure.

        The same lines come again and again, so some are remembered.

        Its secrets are taken out before: the id is recorded, and a password of letters could be tried out against it.
        """
        if offset != self._named_in:
            self._named_in, self._named = offset, 0
        self._named += 1
        if self._named > NAMED_PER_RECORD_MAX or self.gatherer.coarsens(severity):
            return ""
        head = cut(text, masking.TEXT_BYTES_MAX)
        found = self._templates.get(head)
        if found is None:
            if len(self._templates) >= _TEMPLATES_MAX:
                self._templates.clear()
            plain = self.gatherer.redactor.text(head.decode("utf-8", "replace"))
            found = self._templates[head] = masking.template_id(plain.encode("utf-8", "replace"))
        return found


def severity_of(verdict: Verdict, level: str, text: bytes) -> tuple[str, bool]:
    """Return a line's severity, and whether it matches a rule or looks like an error although it matches none.

    Words alone, without a level, make a warning: half of such lines are harmless.
    """
    if verdict.pattern:
        return levels.of_match(verdict.severity, level), True
    if _looks_wrong(verdict, level, text):
        return level or "warning", True
    return level or "info", False


def _looks_wrong(verdict: Verdict, level: str, text: bytes) -> bool:
    """Say whether a line that matches no rule looks like an error: by its level, or by words when it states none."""
    if levels.RANK[level] >= levels.RANK["error"]:
        return True
    if not verdict.error_like or level == "info":
        return False
    return level == "warning" or _CALM.search(text, 0, _CALM_BYTES) is None
