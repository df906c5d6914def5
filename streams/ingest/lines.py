"""Takes one record after the other: sniffs what it is, reads its lines and has them matched and counted.

The path of a JSON line that matches nothing is what a million lines an hour take; the rest may cost more.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from streams.ingest import text_lines
from streams.ingest.confluent import Book, Decoded
from streams.ingest.counting import Counting, Place
from streams.ingest.gather import Gatherer
from streams.ingest.groups import HeadOf, TextTaker
from streams.ingest.json_lines import JsonReader
from streams.ingest.matcher import NOTHING, Matcher
from streams.ingest.sniffing import Fallbacks, unreadable
from streams.ports import Record

CHECK_EVERY_LINES: Final = 256
RECORD_BYTES_MAX: Final = 400_000
"""When the lines of one record fill a slice beyond this, the rest of the record is rejected."""
RECORD_LINES_MAX: Final = 50_000
"""So that no record keeps the process busy for longer than a fraction of a second."""
LOOK_BACK_RECORDS_MAX: Final = 50
_BLANK: Final = b" \t\r\n\x00"
_CALM: Final = frozenset({"", "info"})


class LineTaker:
    """Reads the records of one cut.

    ``heads`` are the last heads of plain text by record key, from the cut before; ``book`` has the known schemas.
    """

    def __init__(
        self, matcher: Matcher, json: JsonReader, gatherer: Gatherer, heads: dict[bytes, HeadOf], book: Book
    ) -> None:
        self._gatherer: Final = gatherer
        self.counting: Final = Counting(matcher, gatherer)
        self._scan: Final = matcher.scan
        self._json: Final = json
        self._read: Final = json.read
        self._decode: Final = json.decode_strictly
        self._book: Final = book
        self._fallbacks: Final = Fallbacks()
        self.text: Final = TextTaker(self.counting, self._fallbacks, heads)
        self._troubled: Final[dict[str, tuple[int, int, bytes]]] = {}

    def take(self, record: Record) -> str:
        """Take a record's lines; return why no decoder took it, or ``""``."""
        value, append_ms, gatherer = record.value, record.timestamp, self._gatherer
        if append_ms > gatherer.append_max_ms:  # noqa: PLR1730 - max() takes three times as long
            gatherer.append_max_ms = append_ms
        if not value:
            return "empty"
        if value[0] == 0x7B:  # {
            try:
                found = self._decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                found = self._json.decode(value)
            if type(found) is dict:
                self._json_line(record, 0, found, value)
                return ""
        return self._take_other(record, value)

    def _take_other(self, record: Record, value: bytes) -> str:
        """Take what is not one JSON object: a JSON array, JSON by the line, plain text, or nothing we know."""
        framed = self._book.read(record, value)
        if framed is not None:
            return self._framed(record, framed)
        if not value.strip(_BLANK):
            return "empty"
        if value[0] == 0x5B:  # [
            found = self._json.decode(value)
            if type(found) is list and found and all(type(item) is dict for item in found):
                return self._json_array(record, found)
        reason = unreadable(value)
        if reason:
            return reason
        return self._physical_lines(record, value.split(b"\n"))

    def _framed(self, record: Record, found: Decoded) -> str:
        """Take what a registry's schema made readable: objects or text, or the reason why not."""
        match found:
            case str():
                return found
            case bytes():
                return self._physical_lines(record, found.split(b"\n")) if found.strip(_BLANK) else "empty"
            case dict():
                return self._json_array(record, [found])
        return self._json_array(record, found)

    def _json_array(self, record: Record, found: list[dict[str, Any]]) -> str:
        for index, item in enumerate(found):
            if self._overflows(index):
                return f"too many lines: from index {index} on"
            self._json_line(record, index, item, msgspec.json.encode(item))
        return ""

    def _physical_lines(self, record: Record, lines: list[bytes]) -> str:
        """Take lines of text, among which JSON objects may stand."""
        text = self.text
        text.begin(record)
        for index, physical in enumerate(lines):
            if self._overflows(index):
                text.end()
                return f"too many lines: from index {index} on"
            line = physical.strip(b"\r\n\x00")
            if not line or line.isspace():
                continue
            found = self._json.decode(line) if line[0] == 0x7B and len(lines) > 1 else None
            if type(found) is dict:
                text.end()
                self._json_line(record, index, found, line)
            else:
                text.line(index, line)
        text.end()
        return ""

    def _overflows(self, index: int) -> bool:
        """Say whether a record has more than a slice should hold; looked at every ``CHECK_EVERY_LINES`` lines."""
        if index % CHECK_EVERY_LINES != CHECK_EVERY_LINES - 1:
            return False
        return index >= RECORD_LINES_MAX or self._gatherer.estimate() > RECORD_BYTES_MAX

    def _json_line(self, record: Record, index: int, found: dict[str, Any], raw: bytes) -> None:
        text, service, rule, host, level, at_ms = self._read(found, raw)
        append_ms = record.timestamp
        if not at_ms or not service:
            said_service, said_host, said_level, said_at_ms = text_lines.read_head(text, append_ms)
            if not service:
                service, rule = (said_service, "syslog") if said_service else self._fallbacks.service(record)
            at_ms, host, level = at_ms or said_at_ms, host or said_host, level or said_level
        if not 946_684_800_000 <= at_ms <= append_ms + 86_400_000:  # stamps.plausible, without the call
            at_ms = self.counting.event_time(at_ms, append_ms)
        gatherer = self._gatherer
        if at_ms > gatherer.at_max_ms:  # noqa: PLR1730 - max() takes three times as long
            gatherer.at_max_ms = at_ms
        verdict = self._scan(text)
        if verdict is NOTHING and level in _CALM:
            key = (at_ms - at_ms % 1000, service, "info", "", "")
            tallies = gatherer.tallies
            tallies[key] = tallies.get(key, 0) + 1
            return
        offset, at_index, shown = self._head_of(record.offset, index, service, text)
        place = Place(service, rule, host, offset, at_index, shown)
        self.counting.seen(place, verdict, level, at_ms)

    def _head_of(self, offset: int, index: int, service: str, text: bytes) -> tuple[int, int, bytes]:
        """Return the coordinates that stand for a line, and the text to show.

        A frame of a trace is shown with the last line of its service that said something, when that is near.
        """
        troubled = self._troubled.get(service)
        if troubled and text_lines.continues(text) and offset - troubled[0] <= LOOK_BACK_RECORDS_MAX:
            return troubled[0], troubled[1], troubled[2][:1024] + b"\n" + text
        self._troubled[service] = (offset, index, text[:1024])
        return offset, index, text
