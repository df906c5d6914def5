"""Takes one record after the other: sniffs what it is, reads its lines and has them matched and counted.

The path of a JSON line that matches nothing is what a million lines an hour take; the rest may cost more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from streams.core.errors import InputError
from streams.ingest import levels, text_lines, traces
from streams.ingest.confluent import Book
from streams.ingest.counting import Counting, Place
from streams.ingest.formats import reasons
from streams.ingest.formats.envelopes import unfold
from streams.ingest.formats.reading import Item
from streams.ingest.formats.sniff import decoded
from streams.ingest.formats.wrapping import unwrapped
from streams.ingest.gather import Gatherer
from streams.ingest.groups import HeadOf, TextTaker
from streams.ingest.json_lines import ENVELOPE, JsonReader, Read
from streams.ingest.matcher import NOTHING, Matcher, Verdict
from streams.ingest.redact import RECORD_CHARACTERS_MAX, cut
from streams.ingest.runs import Run, Runs, counted
from streams.ingest.sniffing import Fallbacks, unreadable
from streams.ingest.zones import TopicZones
from streams.ports import Record

CHECK_EVERY_LINES: Final = 256
_CHECKED: Final = CHECK_EVERY_LINES - 1
RECORD_BYTES_MAX: Final = 400_000
"""When the lines of one record add more than this to a slice, the rest of the record is rejected."""
SEVERAL_LINES_MAX: Final = 1_024
"""After so many lines of records that hold several a slice is looked at: by its bytes a compressed one is small."""
RECORD_LINES_MAX: Final = 8_192
"""So that a record takes about a tenth of a second at most; as many as the OTel Collector sends in one by default."""
LOOK_BACK_RECORDS_MAX: Final = 50
HEAD_SHOWN_BYTES_MAX: Final = 1024
"""So much of a head is kept, to be shown with a frame of its trace."""
WRAPPINGS_MAX: Final = 4
"""How often a value or an object may wrap another: a gzip'ed Connect envelope around a batch has three."""
_SPLITS_MAX: Final = RECORD_LINES_MAX + CHECK_EVERY_LINES
"""8 MB of line feeds would be a list of 8 million; the last item is never reached."""
_BLANK: Final = b" \t\r\n\x00"
_CALM: Final = frozenset({"", "info"})
_ERROR: Final = levels.RANK["error"]
_NO_FIELDS: Final[dict[str, Any]] = {}


class LineTaker:
    """Reads the records of one cut.

    ``heads`` are the last heads of plain text by record key, from the cut before; ``book`` has the
    known schemas; ``zones`` reads the topic's stamps; ``runs`` are remembered from cut to cut.
    """

    def __init__(
        self,
        matcher: Matcher,
        json: JsonReader,
        gatherer: Gatherer,
        heads: dict[bytes, HeadOf],
        book: Book,
        zones: TopicZones,
        runs: Runs,
    ) -> None:
        self._gatherer: Final = gatherer
        self.counting: Final = Counting(matcher, gatherer, zones)
        self._scan: Final = matcher.scan
        self._scan_all: Final = matcher.scan_all
        self._runs: Final = runs
        self._json: Final = json
        self._read: Final = json.read
        self._decode: Final = json.decode_strictly
        self._book: Final = book
        self._fallbacks: Final = Fallbacks()
        self.text: Final = TextTaker(self.counting, self._fallbacks, heads)
        self._troubled: Final[dict[str, tuple[int, int, bytes]]] = {}
        self._several_lines = 0
        """Lines of records that hold several, since the size of the slice was looked at for them."""
        self._base_bytes = 0
        """The size of the slice when the record under way had its first ``CHECK_EVERY_LINES`` lines."""
        self._next = 0
        """The index of the next line in the record under way; kept where lines come from what the record wraps."""
        self._depth = 0

    def take_run(self, records: Sequence[Record]) -> int:
        """Take the first of several records as far as they are a run of one shape; return how many those are."""
        run = self._runs.read(records)
        if not run.texts:
            return 0
        gatherer = self._gatherer
        gatherer.at_max_ms = max(gatherer.at_max_ms, run.latest_ms)
        gatherer.append_max_ms = max(gatherer.append_max_ms, run.appended_ms)
        verdicts = dict(self._scan_all(run.texts))
        loud = {index: NOTHING for index, level in enumerate(run.levels) if level not in _CALM}
        for index, verdict in sorted({**loud, **verdicts}.items()):
            self._take_noticed(records[index], run, index, verdict)
        tallies = gatherer.tallies
        for (second_ms, service), count in counted(run.seconds).items():
            key = (second_ms, service, "info", "", "")
            tallies[key] = tallies.get(key, 0) + count
        return len(run.texts)

    def _take_noticed(self, record: Record, run: Run, index: int, verdict: Verdict) -> None:
        """Take the record of a run in which something was seen; it is no longer counted among the others."""
        named, run.seconds[index] = run.seconds[index], None
        self._gatherer.headers = record.headers
        self._gatherer.redactor.left_characters = RECORD_CHARACTERS_MAX
        if named is None or run.hosted:
            self.take(record)
            return
        level = run.levels[index] if run.levels else ""
        read = (run.texts[index], named[1], "json", "", level, run.times_ms[index])
        self._notice(record, 0, read, verdict)

    def take(self, record: Record) -> str:
        """Take a record's lines; return why no decoder took it, or ``""``."""
        value, append_ms, gatherer = record.value, record.timestamp, self._gatherer
        if append_ms > gatherer.append_max_ms:  # noqa: PLR1730 - max() takes three times as long
            gatherer.append_max_ms = append_ms
        if not value:
            return reasons.EMPTY
        if value[0] == 0x7B:  # {
            try:
                found = self._decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                found = self._json.decode(value)
            if type(found) is dict:
                return self._line(record, 0, self._read(found, value), found)
        self._next = 0
        return self._take_other(record, value)

    def _take_other(self, record: Record, value: bytes) -> str:
        """Take what is not one JSON object: what a registry's schema makes readable, or bytes of any other format."""
        found = self._book.read(record, value)
        match found:
            case None:
                return self._take_bytes(record, value)
            case str():
                return found
            case bytes():
                return self._take_inner(record, found)
            case dict():
                return self._take_items(record, [found])
        return self._take_items(record, found)

    def _take_bytes(self, record: Record, value: bytes) -> str:
        """Take a binary format, something wrapped, a JSON array, JSON by the line, plain text, or nothing we know."""
        if not value.strip(_BLANK):
            return reasons.EMPTY
        try:
            inner = unwrapped(value)
            items = decoded(value, self._json) if inner is None else None
        except InputError as error:
            return str(error)
        if inner is not None:
            return self._take_inner(record, inner)
        if items is None and value[0] == 0x5B:  # [
            found = self._json.decode(value)
            items = found if type(found) is list and found and all(type(item) is dict for item in found) else None
        if items is not None:
            return self._take_items(record, items)
        return unreadable(value) or self._physical_lines(record, value.split(b"\n", _SPLITS_MAX))

    def _take_inner(self, record: Record, value: bytes) -> str:
        """Take what was inside a value, as if it were one."""
        if not value:
            return reasons.EMPTY
        if self._depth >= WRAPPINGS_MAX:
            return reasons.WRAPPED_TOO_OFTEN
        self._depth += 1
        try:
            found = self._json.decode(value) if value[0] == 0x7B else None
            return self._take_items(record, [found]) if type(found) is dict else self._take_bytes(record, value)
        finally:
            self._depth -= 1

    def _take_items(self, record: Record, items: Sequence[Item]) -> str:
        """Take lines that a decoder made; their indexes follow those that the record has used."""
        self._make_room(record, len(items))
        failed, taken = "", False
        for item in items:
            index = self._next
            if index % CHECK_EVERY_LINES == _CHECKED and self._overflows(index):
                return f"{reasons.TOO_MANY_LINES}: from index {index} on"
            self._next = index + 1
            if isinstance(item, dict):
                reason = self._line(record, index, self._read(item, None), item)
            else:
                reason = self._line(record, index, item, _NO_FIELDS)
            if self._next <= index:
                self._next = index + 1
            if not reason:
                taken = True
                continue
            if reason.startswith(reasons.TOO_MANY_LINES):
                return reason
            failed = failed or reason.removeprefix(reasons.EMPTY)
            taken = taken or reason.startswith(reasons.PARTLY_READ)
        return _summed(failed, taken=taken)

    def _physical_lines(self, record: Record, lines: list[bytes]) -> str:
        """Take lines of text, among which JSON objects may stand."""
        self._make_room(record, len(lines))
        text = self.text
        text.begin(record)
        begin = self._next
        failed, taken = "", False
        for physical_index, physical in enumerate(lines):
            index = begin + physical_index
            if index % CHECK_EVERY_LINES == _CHECKED and self._overflows(index):
                text.end()
                return f"{reasons.TOO_MANY_LINES}: from index {index} on"
            line = physical.strip(b"\r\n\x00")
            if not line or line.isspace():
                continue
            found = self._json.decode(line) if line[0] == 0x7B and len(lines) > 1 else None
            if type(found) is dict:
                text.end()
                self._next = index + 1
                reason = self._line(record, index, self._read(found, line), found)
                if reason.startswith(reasons.TOO_MANY_LINES):
                    return reason
                failed = failed or reason.removeprefix(reasons.EMPTY)
                taken = taken or not reason or reason.startswith(reasons.PARTLY_READ)
                begin += max(self._next - index - 1, 0)
            else:
                text.line(index, line)
                taken = True
        text.end()
        self._next = begin + len(lines)
        return _summed(failed, taken=taken)

    def _make_room(self, record: Record, lines: int) -> None:
        """Begin a new slice with a record of several lines when the old one is full; nothing of it is counted yet."""
        gatherer = self._gatherer
        self._several_lines += lines if lines > 1 else 0
        if self._several_lines <= SEVERAL_LINES_MAX or self._next or gatherer.to_offset >= record.offset:
            return
        self._several_lines = 0
        if gatherer.full:
            gatherer.close(record.offset)
            gatherer.append_max_ms = record.timestamp

    def _overflows(self, index: int) -> bool:
        """Say whether a record has more than a slice should hold; asked at the last of every ``CHECK_EVERY_LINES``.

        What records before it put into the slice does not count: it is no fault of this one.
        """
        size_bytes = self._gatherer.estimate()
        if index < CHECK_EVERY_LINES:
            self._base_bytes = size_bytes
        return index >= RECORD_LINES_MAX or size_bytes - self._base_bytes > RECORD_BYTES_MAX

    def _line(self, record: Record, index: int, read: Read, found: dict[str, Any]) -> str:
        """Count the line that was read of an object, or take what the object wraps; return why that can't be taken."""
        text, service, rule, host, level, at_ms = read
        append_ms = record.timestamp
        if not at_ms or not service or rule == "file":
            if read is ENVELOPE:
                return self._envelope(record, index, found)
            said_service, said_host, said_level, said_at_ms = text_lines.read_head(text, append_ms, stamped=at_ms != 0)
            service, rule = self._service((service, rule), said_service, record)
            at_ms, host, level = at_ms or said_at_ms, host or said_host, level or said_level
        if not 946_684_800_000 <= at_ms <= append_ms + 86_400_000:  # stamps.plausible, without the call
            at_ms = self.counting.event_time(at_ms, append_ms, service, host)
        gatherer = self._gatherer
        if at_ms > gatherer.at_max_ms:  # noqa: PLR1730 - max() takes three times as long
            gatherer.at_max_ms = at_ms
        verdict = self._scan(text)
        if verdict is NOTHING and level in _CALM:
            key = (at_ms - at_ms % 1000, service, "info", "", "")
            tallies = gatherer.tallies
            tallies[key] = tallies.get(key, 0) + 1
            return ""
        self._notice(record, index, (text, service, rule, host, level, at_ms), verdict)
        return ""

    def _notice(self, record: Record, index: int, line: Read, verdict: Verdict) -> None:
        """Count a line of which the scan or its level says something; its stamp is its time by now."""
        text, service, rule, host, level, at_ms = line
        offset, at_index, shown = self._head_of(record.offset, index, service, text)
        said = level or verdict.level
        if not verdict.error_like and levels.RANK[said] < _ERROR:  # a line that a rule matches is like an error
            self.counting.plain(service, said or "info", at_ms)
            return
        place = Place(service, rule, host, offset, at_index, shown)
        frame = level in _CALM and b"\n" not in text and traces.continues(text)
        self.counting.seen(place, verdict, level, at_ms, template=not frame)

    def _service(self, named: tuple[str, str], said: str, record: Record) -> tuple[str, str]:
        """Return (service, rule): what a syslog line says, and a header, go before the name of a file."""
        if named[0] and named[1] != "file":
            return named
        if said:
            return said, "syslog"
        if named[0]:
            header = self._fallbacks.header(record)
            return (header, "header") if header else named
        return self._fallbacks.service(record)

    def _envelope(self, record: Record, index: int, found: dict[str, Any]) -> str:
        """Take the lines that an object wraps, from ``index`` on; an object that wraps none is a line itself."""
        inside = unfold(found, self._json) if self._depth < WRAPPINGS_MAX else None
        if inside is None:
            return self._line(record, index, self._json.read(found, None, unfold=False), found)
        self._next = index
        if isinstance(inside, bytes):
            return self._take_inner(record, inside)
        self._depth += 1
        try:
            return self._take_items(record, inside)
        finally:
            self._depth -= 1

    def _head_of(self, offset: int, index: int, service: str, text: bytes) -> tuple[int, int, bytes]:
        """Return the coordinates that stand for a line, and the text to show.

        A frame of a trace is shown with the last line of its service that said something, when that is near.
        """
        troubled = self._troubled.get(service)
        if troubled and traces.continues(text) and offset - troubled[0] <= LOOK_BACK_RECORDS_MAX:
            return troubled[0], troubled[1], troubled[2] + b"\n" + text
        self._troubled[service] = (offset, index, cut(text, HEAD_SHOWN_BYTES_MAX))
        return offset, index, text


def _summed(failed: str, *, taken: bool) -> str:
    """Return what became of a record of several: ``failed`` is why the first of those that can't be taken is not."""
    if not failed:
        return "" if taken else reasons.EMPTY
    return f"{reasons.PARTLY_READ}: {failed}" if taken and not failed.startswith(reasons.PARTLY_READ) else failed
