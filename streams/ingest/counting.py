"""From a line that was read to what is counted: its severity, its template, its time, its detection."""

from __future__ import annotations

import re
from typing import Final

from streams.ingest import levels, masking, stamps
from streams.ingest.gather import Gatherer, Sight
from streams.ingest.matcher import Matcher, Verdict
from streams.ingest.zones import TopicZones

_CALM: Final = re.compile(rb"\b(?:INFO|DEBUG|TRACE|NOTICE|info|debug|trace|notice|noti)\b")
_CALM_BYTES: Final = 200
_TEMPLATES_MAX: Final = 2000


class Place:
    """Whose line it is and which coordinates stand for it."""

    __slots__ = ("host", "index", "offset", "rule", "service", "text")

    def __init__(self, service: str, rule: str, host: str, offset: int, index: int, text: bytes) -> None:
        self.service: Final = service
        self.rule: Final = rule
        self.host: Final = host
        self.offset: Final = offset
        self.index: Final = index
        self.text: Final = text


class Counting:
    """Counts lines of one cut into its gatherer."""

    def __init__(self, matcher: Matcher, gatherer: Gatherer, zones: TopicZones) -> None:
        self.scan: Final = matcher.scan
        self.gatherer: Final = gatherer
        self._zones: Final = zones
        self.stamps_replaced = 0
        self._templates: Final[dict[bytes, str]] = {}

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
        template_id = "" if verdict.pattern else self._template(place.text)
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

    def _template(self, text: bytes) -> str:
        """Return the template id of a text; the same lines come again and again, so some are remembered."""
        head = text[: masking.TEXT_BYTES_MAX]
        found = self._templates.get(head)
        if found is None:
            if len(self._templates) >= _TEMPLATES_MAX:
                self._templates.clear()
            found = self._templates[head] = masking.template_id(head)
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
