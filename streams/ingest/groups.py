"""Plain text: heads, the lines that continue them, and what they come to together.

A line continues the one before when ``traces`` takes it for a part of it: indented, a frame, a cause, a detail, the
rest of what was cut; inside one record also when its head has a stamp and it has none. Lines of one record that belong
together are one detection: the most specific of what they show, at the head. Over several records nothing waits: a
continuation is matched by itself and carries the service, time and coordinates of its head.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from streams.ingest import text_lines, traces
from streams.ingest.counting import Counting, Place
from streams.ingest.matcher import NOTHING, Verdict
from streams.ingest.redact import cut
from streams.ingest.sniffing import Fallbacks
from streams.ports import Record

HEADS_MAX: Final = 1024
SHOWN_BYTES_MAX: Final = 2048
_HEAD_BYTES_MAX: Final = SHOWN_BYTES_MAX // 2
TRACE_GAP_MS: Final = 5_000
"""How long after a line its exception may come in a record of its own."""


class HeadOf(Struct):
    """The line that continuations which follow belong to.

    ``in_trace``: the last of them looked like a frame; ``open``: the next line belongs to it, whatever that is.
    """

    place: Place
    level: str
    at_ms: int
    append_ms: int
    stamped: bool
    open: bool
    in_trace: bool = False


class TextTaker:
    """Takes the lines of one record after the other: ``begin``, ``line`` for each, ``end``.

    ``heads`` by record key come from the records before and are kept up to date for those that follow.
    """

    def __init__(self, counting: Counting, fallbacks: Fallbacks, heads: dict[bytes, HeadOf]) -> None:
        self._counting: Final = counting
        self._fallbacks: Final = fallbacks
        self.heads: Final = heads
        self._head: HeadOf | None = None
        self._own = False
        """Whether the head stands in the record under way, and is not counted yet."""
        self._verdict = NOTHING
        self._shown = b""
        self._fallback = ("", "")
        self._fallback_host = ""

    def begin(self, record: Record) -> None:
        """Start a record; the head of the record before, with the same key, may go on."""
        self._record = record
        self._key = record.key or b""
        self._head = self.heads.get(self._key)
        self._own = False
        self._fallback = self._fallbacks.service(record)
        self._fallback_host = self._fallbacks.host(record)

    def line(self, index: int, line: bytes) -> None:
        """Take a line that is not blank."""
        head = self._head
        inner, unfinished = traces.unwrapped(line) if line[10:11] == b"T" else (line, False)
        if head is not None and self._is_frame(head, inner):
            head.open = unfinished
            self._continuation(head, line, inner)
            return
        said = text_lines.read_head(line, self._record.timestamp)
        if head is not None and self._continues(head, inner, said, wrapped=inner is not line):
            head.open = unfinished
            self._continuation(head, line, inner)
            return
        if head is not None and self._own:
            self._count(head)
        self._head = self._begun(index, line, said, open_=unfinished or traces.opens(inner))
        self._own = True
        self._verdict, self._shown = self._counting.scan(inner), line

    def end(self) -> None:
        """Count the head of this record together with what continued it, and keep it for the record after."""
        head = self._head
        if head is None or not self._own:
            return
        self._count(head)
        self._own = False
        if len(self.heads) >= HEADS_MAX and self._key not in self.heads:
            self.heads.clear()
        self.heads[self._key] = head

    def _count(self, head: HeadOf) -> None:
        """Count a head of this record for what it and its continuations say."""
        place = head.place
        if self._verdict is NOTHING and head.level in {"", "info"}:
            self._counting.plain(place.service, "info", head.at_ms)
            return
        if place.text is not self._shown:
            place = Place(place.service, place.rule, place.host, place.offset, place.index, self._shown)
        self._counting.seen(place, self._verdict, head.level, head.at_ms)

    @staticmethod
    def _is_frame(head: HeadOf, inner: bytes) -> bool:
        """Say whether a line belongs to a head whatever it begins with: a frame of its trace, the rest of a part."""
        if traces.continues(inner) or (head.in_trace and traces.frame_within(inner)):
            head.in_trace = True
            return True
        return head.open

    def _continues(self, head: HeadOf, inner: bytes, said: text_lines.Head, *, wrapped: bool) -> bool:
        """Say whether a line that is no frame belongs to a head all the same.

        ``inner`` is without what a container runtime wrote before it, whose stamp says nothing about where lines begin.
        """
        stamped = said[3] != 0 and not (wrapped and not text_lines.read_head(inner, self._record.timestamp)[3])
        if stamped:
            return traces.details(inner, head.place.text)
        if head.in_trace and traces.ends(inner):
            head.in_trace = False
            return True
        if head.stamped and traces.is_exception(inner):
            head.in_trace = self._record.timestamp - head.append_ms <= TRACE_GAP_MS
            return head.in_trace
        return self._own and head.stamped and not wrapped

    def _continuation(self, head: HeadOf, line: bytes, inner: bytes) -> None:
        """Match a line that belongs to a head, and count it: for itself when the head is counted already."""
        verdict = self._counting.scan(inner)
        if self._own:
            self._counting.plain(head.place.service, "info", head.at_ms)
            self._fold(verdict, line)
        elif verdict.pattern:
            place = head.place
            shown = Place(place.service, place.rule, place.host, place.offset, place.index, place.text + b"\n" + line)
            self._counting.seen(shown, verdict, head.level, head.at_ms, template=False)
        else:
            self._counting.plain(head.place.service, "info", head.at_ms)

    def _fold(self, verdict: Verdict, line: bytes) -> None:
        """Keep the more specific of two verdicts for the head; what it says is shown below the head's text."""
        if verdict.rank < self._verdict.rank:
            self._verdict = replace(verdict, level=self._verdict.level or verdict.level)
            self._shown = cut(cut(self._shown, _HEAD_BYTES_MAX) + b"\n" + line, SHOWN_BYTES_MAX)

    def _begun(self, index: int, line: bytes, said: text_lines.Head, *, open_: bool) -> HeadOf:
        service, host, level, at_ms = said
        rule = "syslog"
        record = self._record
        if not service:
            service, rule = self._fallback
        if not host:
            host = self._fallback_host
        at = self._counting.event_time(at_ms, record.timestamp, service, host)
        gatherer = self._counting.gatherer
        if at > gatherer.at_max_ms:  # noqa: PLR1730 - max() takes three times as long
            gatherer.at_max_ms = at
        text = line if len(line) <= _HEAD_BYTES_MAX else cut(line, _HEAD_BYTES_MAX)
        place = Place(service, rule, host, record.offset, index, text)
        return HeadOf(place, level, at, record.timestamp, at_ms != 0, open_)
