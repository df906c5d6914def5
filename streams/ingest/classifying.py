"""One line by itself, without neighbours, state or counts: what the offline count and the scores use."""

from __future__ import annotations

from typing import Final

from streams.ingest import text_lines
from streams.ingest.counting import severity_of
from streams.ingest.json_lines import JsonReader
from streams.ingest.matcher import Matcher, Verdict


class Classifier:
    """Reads a line as the slicer does and says which pattern, category and severity it has."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher: Final = matcher
        self._json: Final = JsonReader()

    def classify(self, line: bytes) -> Verdict:
        """Return the matcher's verdict with the severity that a detection or tally of this line would get."""
        text, level = line, ""
        found = self._json.decode(line) if line[:1] == b"{" else None
        if type(found) is dict:
            text, _, _, _, level, _ = self._json.read(found, line)
        level = level or text_lines.read_head(text, 0)[2]
        verdict = self._matcher.scan(text)
        return Verdict(
            pattern=verdict.pattern,
            category=verdict.category,
            severity=severity_of(verdict, level or verdict.level, text)[0],
            confidence=verdict.confidence,
            rank=verdict.rank,
            level=level or verdict.level,
            error_like=verdict.error_like,
        )
