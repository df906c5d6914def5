"""Runs of records of one shape: JSON objects with the same keys whose text, time and service are plain strings.

Nearly all lines of nearly all producers come so. A run is decoded, scanned and counted as a whole, which takes half of
the time that its records take one by one; what anything is special about ends it, and ``LineTaker.take`` has the
record. Both ways come to the same slices: this one changes the speed and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from streams.ingest import json_lines, levels, stamps
from streams.ingest.identity import declared
from streams.ingest.json_lines import JsonReader, Plan
from streams.ports import Record

RUN_RECORDS: Final = 256
"""So many records at most, then the size of the slice is looked at."""
WORTHWHILE: Final = 8
"""A run that is shorter costs more than it saves."""
_SHAPES_MAX: Final = 2048
_ODD_STARTS: Final = "{ "
"""A text that begins so is looked at more closely, as is an empty one: JSON in JSON, the space that rsyslog leaves."""
_OPENING_BRACE: Final = 0x7B
_SECOND_ENDS: Final = len("2026-01-01T00:00:00")
_MILLISECONDS: Final = {f".{number:03}Z": number for number in range(1000)}
"""Milliseconds by how a stamp goes on behind its second."""


class Shape(Struct, frozen=True):
    """How records with one set of keys are decoded, to objects with ``text``, ``time``, ``service`` and ``level``.

    ``leveled`` and ``hosted`` say that the producer states a level or names the host, too; ``quick``, that a text is
    taken as it stands.
    """

    decode: Callable[[Any], Any]
    quick: bool
    leveled: bool
    hosted: bool


class Run(Struct, frozen=True):
    """What the first records of several came to: (second in ms, service), text, level and time of each.

    There are no ``levels`` where no field states one. ``latest_ms`` and ``appended_ms`` are the last event time and the
    last append time. ``hosted``: a field names the host, which only a line in which something is seen is asked for.
    """

    seconds: list[tuple[int, str] | None]
    texts: list[bytes]
    levels: list[str]
    times_ms: list[int]
    latest_ms: int = 0
    appended_ms: int = 0
    hosted: bool = False


NO_RUN: Final = Run(seconds=[], texts=[], levels=[], times_ms=[])


class _Decoded(NamedTuple):
    """Records and what the first of them are by ``shape``."""

    shape: Shape | None
    records: Sequence[Record]
    lines: list[Any]

    def behind(self, shape: Shape, record: Record) -> list[Any]:
        """Return the lines of ``record`` and of those after it, when they are here."""
        if shape is not self.shape:
            return []
        place = record.offset - self.records[0].offset
        return self.lines[place:] if 0 <= place < len(self.lines) and self.records[place] is record else []


_NOTHING: Final = _Decoded(None, (), [])


class Runs:
    """Reads runs of the shape that was met last; remembers shapes, which changes its speed and never its answers."""

    def __init__(self, json: JsonReader) -> None:
        """Learn from what ``json`` can decode."""
        self._json: Final = json
        self._shapes: Final[dict[tuple[str, ...], Shape | None]] = {}
        self.shape: Shape | None = None
        self._decoded = _NOTHING

    def learn(self, record: Record) -> None:
        """Take the shape of a record that has ended a run; none when it is none of ours."""
        value = record.value
        found = self._json.decode(value) if value and value[0] == _OPENING_BRACE else None
        if type(found) is not dict:
            self.shape = None
            return
        keys = tuple(found)
        if keys not in self._shapes:
            if len(self._shapes) >= _SHAPES_MAX:
                self._shapes.clear()
            self._shapes[keys] = shape_of(keys)
        self.shape = self._shapes[keys]

    def forget(self) -> None:
        """Let go of the records that were read last; shapes stay."""
        self._decoded = _NOTHING

    def read(self, records: Sequence[Record]) -> Run:
        """Return what the first of ``records`` come to, until one that is not of the shape or has anything special."""
        shape = self.shape
        if shape is None or not records:
            return NO_RUN
        lines = self._lines(shape, records)
        seconds: list[tuple[int, str] | None] = []
        texts: list[bytes] = []
        times_ms: list[int] = []
        with suppress(UnicodeEncodeError):  # a lone surrogate, which JSON can write
            _read_each(lines, shape, seconds, texts, times_ms)
        taken = len(texts)
        self._decoded = _Decoded(shape, records, lines) if taken < len(lines) else _NOTHING
        if not taken:
            return NO_RUN
        appended_ms = [record.timestamp for record in records[:taken]]
        latest_ms = max(times_ms)
        if latest_ms > min(appended_ms) + stamps.DAY_MS:
            return NO_RUN
        return Run(
            seconds=seconds,
            texts=texts,
            levels=[levels.of_value(line.level) for line in lines[:taken]] if shape.leveled else [],
            times_ms=times_ms,
            latest_ms=latest_ms,
            appended_ms=max(appended_ms),
            hosted=shape.hosted,
        )

    def _lines(self, shape: Shape, records: Sequence[Record]) -> list[Any]:
        """Return the first of ``records`` decoded; what was decoded behind the end of the last run is so already."""
        known = self._decoded.behind(shape, records[0])[: len(records)]
        return known + _decoded(shape, records[len(known) :])


def _read_each(
    lines: Sequence[Any],
    shape: Shape,
    seconds: list[tuple[int, str] | None],
    texts: list[bytes],
    times_ms: list[int],
) -> None:
    """Add what each line says to the three lists, until one that has anything special.

    A service is looked up, and its second made, once for a second: 0.8 us a line for 0.9, decoding included.
    """
    begun, second_ms = "", 0
    known: dict[str, tuple[int, str]] = {}
    for line in lines:
        stamp = line.time
        if stamp[:_SECOND_ENDS] != begun:
            begun = stamp[:_SECOND_ENDS]
            second_ms = stamps.second(begun)
            if second_ms <= stamps.WRONG:
                return
            known.clear()
        millisecond = _MILLISECONDS.get(stamp[_SECOND_ENDS:])
        second = known.get(line.service)
        if second is None:
            second = known[line.service] = second_ms, declared(line.service)
        text = line.text
        if not text or text[0] in _ODD_STARTS or text[-1] == "\n":
            text = _as_taken(text, shape)
        if millisecond is None or not second[1] or not text:
            return
        texts.append(text.encode())
        times_ms.append(second_ms + millisecond)
        seconds.append(second)


def _as_taken(text: str, shape: Shape) -> str:
    """Return a text as ``JsonReader.read`` has it; "" for an object, and for what is none without its blanks."""
    if text[:1] == "{":
        return ""
    return text if shape.quick else json_lines.bare(text)


def _decoded(shape: Shape, records: Sequence[Record]) -> list[Any]:
    """Return the first of ``records`` decoded, until one that is not of the shape."""
    decode = shape.decode
    lines = []
    try:
        for record in records:
            value: Any = record.value
            if value[0] != _OPENING_BRACE:
                break
            lines.append(decode(value))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, IndexError):
        return lines
    return lines


def counted(seconds: Sequence[tuple[int, str] | None]) -> Counter[tuple[int, str]]:
    """Return how often each second of a service comes; what is None counts nowhere."""
    counts = Counter(seconds)
    del counts[None]
    return counts  # type: ignore[return-value]  # None is gone


def shape_of(keys: tuple[str, ...]) -> Shape | None:
    """Return the shape of a set of keys; None when a record with these keys takes more than text, time and service."""
    plan = json_lines.plan_of(keys)
    if not _is_plain(plan):
        return None
    named = {plan.texts[0]: "text", plan.times[0]: "time", plan.service: "service"}
    named |= dict.fromkeys(plan.levels, "level")
    if len(named) != len(plan.levels) + 3 or len(set(keys)) != len(keys):
        return None
    fields = [
        (name, str, msgspec.field(name=key))
        if (name := named.get(key)) is not None
        else (f"other_{number}", msgspec.Raw, msgspec.field(name=key))
        for number, key in enumerate(keys)
    ]
    namespace = {} if plan.levels else {"level": ""}
    kind = msgspec.defstruct("Line", fields, namespace=namespace, forbid_unknown_fields=True, gc=False)
    return Shape(
        msgspec.json.Decoder(kind).decode, quick=plan.quick, leveled=bool(plan.levels), hosted=bool(plan.hosts)
    )


def _is_plain(plan: Plan) -> bool:
    """Say whether text, time, service and one level at most are all that a calm line of this plan is read for."""
    if not (plan.texts and plan.times and plan.service) or plan.envelope or plan.details or plan.request:
        return False
    return len(plan.levels) <= 1 and all(key in json_lines.LEVEL_KEYS for key in plan.levels)
