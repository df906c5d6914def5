"""Dead letters as people see them: which are asked for, how they are listed, which of them may be put back."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from streams.core.errors import InputError
from streams.ingest.formats.reasons import IN_PART, remedy
from streams.ingest.redact import Redactor
from streams.ports import Log
from streams.runtime.dead_letters import Letter, Marks, read_letter, scan
from streams.topics import Topics

PREVIEW_BYTES: Final = 4096
PREVIEW_CHARACTERS: Final = 120
PREVIEW_HEX_BYTES: Final = 8
"""Of a value that is no text: enough to know a format by, too few to hold a secret."""
REASONS_MAX: Final = 200
WAITING, REPLAYED, IN_DOUBT = "waiting", "replayed", "in doubt"
WERE_PUT_BACK: Final = "were put back before"
ARE_IN_DOUBT: Final = "are in doubt: a replay began to put them back and never said that it ended; see --again"
NO_PRODUCERS: Final = "come from a topic that is not in LOGMEND_LOGS or LOGMEND_METRICS"
NO_VALUE: Final = "have no value: there is nothing to read"
PARTLY_READ: Final = "were read in part: their lines would count twice; name them by --offset if that is meant"
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")


class Which(Struct, frozen=True, kw_only=True):
    """The letters that are asked for: with a text in their reason, of a topic, since a time, at some offsets."""

    reason: str
    topic: str
    since_ms: int
    offsets: frozenset[int] = frozenset()

    def holds(self, letter: Letter) -> bool:
        """Say whether a letter is one of them."""
        return (
            letter.at_ms >= self.since_ms
            and self.topic in {"", letter.topic}
            and self.reason.lower() in letter.reason.lower()
            and (not self.offsets or letter.offset in self.offsets)
        )


class Row(Struct, frozen=True, kw_only=True):
    """A letter as it is listed; ``preview`` has no secret and nothing that steers a terminal."""

    offset: int
    at: str
    place: str
    size_bytes: int
    state: str
    replay_of: int | None
    reason: str
    preview: str


class Count(Struct, frozen=True, kw_only=True):
    """How many letters have a reason, how many of them were not put back, and what to do."""

    reason: str
    letters: int
    not_replayed: int
    remedy: str


class Listing(Struct, frozen=True, kw_only=True):
    """The newest of the letters that were asked for, the newest last, and the number of all of them by reason."""

    letters: tuple[Row, ...]
    counts: tuple[Count, ...]


async def listed(log: Log, topics: Topics, which: Which, limit: int, redactor: Redactor, start: int = 0) -> Listing:
    """Read the topic from ``start`` on; return what it has of the letters asked for, ``limit`` of them one by one."""
    marks = Marks()
    kept: deque[tuple[Letter, bytes]] = deque(maxlen=limit)
    by_reason: dict[str, list[int]] = {}
    async for record in scan(log, topics, start):
        marks.take(record)
        letter = read_letter(record)
        if letter and which.holds(letter):
            kept.append((letter, (record.value or b"")[:PREVIEW_BYTES]))
            known = letter.reason in by_reason or len(by_reason) < REASONS_MAX
            by_reason.setdefault(letter.reason if known else "others", []).append(letter.offset)
    in_doubt = marks.in_doubt
    counts = (
        Count(
            reason=_shown(reason),
            letters=len(offsets),
            not_replayed=len(set(offsets) - marks.done),
            remedy=remedy(reason),
        )
        for reason, offsets in sorted(by_reason.items(), key=lambda row: len(row[1]))
    )
    return Listing(
        letters=tuple(
            _row(letter, _state(letter.offset, marks.done, in_doubt), value, redactor) for letter, value in kept
        ),
        counts=tuple(counts),
    )


def _state(offset: int, done: Collection[int], in_doubt: Collection[int]) -> str:
    if offset in done:
        return REPLAYED
    return IN_DOUBT if offset in in_doubt else WAITING


def _row(letter: Letter, state: str, value: bytes, redactor: Redactor) -> Row:
    return Row(
        offset=letter.offset,
        at=datetime.fromtimestamp(letter.at_ms / 1000, UTC).isoformat(" ", "seconds").removesuffix("+00:00"),
        place=f"{_shown(letter.topic)}/{letter.partition}/{letter.source_offset}",
        size_bytes=letter.size_bytes,
        state=state,
        replay_of=letter.replay_of if letter.replay_of >= 0 else None,
        reason=_shown(letter.reason),
        preview=preview(value, redactor),
    )


def preview(value: bytes, redactor: Redactor) -> str:
    """Return how a value begins: its text without secrets and control characters; of other bytes the first few."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(value) - 3:
            return value[:PREVIEW_HEX_BYTES].hex(" ")
        text = value[: error.start].decode("utf-8")  # a character was cut in two
    if _CONTROLS.search(text):
        return value[:PREVIEW_HEX_BYTES].hex(" ")
    return _shown(redactor.text(text))[:PREVIEW_CHARACTERS]


def _shown(text: str) -> str:
    """Return a text in one line without characters that steer a terminal or turn the direction of writing."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


class Chosen(Struct, frozen=True):
    """What a replay is to do: the letters to put back by topic, and how many it leaves out, by why.

    ``marks`` are those of the moment of choosing.
    """

    back: dict[str, frozenset[int]]
    left_out: dict[str, int]
    marks: Marks

    @property
    def offsets(self) -> frozenset[int]:
        """The offsets of all letters to put back."""
        return frozenset().union(*self.back.values())


async def choose(log: Log, topics: Topics, which: Which, *, again: bool) -> Chosen:
    """Read the topic and return which of the letters asked for may be put back; ``again`` takes those in doubt.

    Raises ``InputError`` when a letter is asked for by an offset where none is.
    """
    marks = Marks()
    letters: list[Letter] = []
    async for record in scan(log, topics):
        marks.take(record)
        letter = read_letter(record)
        if letter and which.holds(letter):
            letters.append(letter)
    if missing := which.offsets.difference(letter.offset for letter in letters):
        raise InputError(f"there is no such dead letter: {', '.join(map(str, sorted(missing)))}; see logmend dlq list")
    back: dict[str, set[int]] = {}
    left_out: Counter[str] = Counter()
    in_doubt = frozenset() if again else marks.in_doubt
    for letter in letters:
        if letter.offset in marks.done:
            left_out[WERE_PUT_BACK] += 1
        elif letter.offset in in_doubt:
            left_out[ARE_IN_DOUBT] += 1
        elif letter.topic not in {*topics.logs, *topics.metrics}:
            left_out[NO_PRODUCERS] += 1
        elif letter.reason.startswith(IN_PART) and not which.offsets:
            left_out[PARTLY_READ] += 1
        elif not letter.size_bytes:
            left_out[NO_VALUE] += 1
        else:
            back.setdefault(letter.topic, set()).add(letter.offset)
    return Chosen({topic: frozenset(offsets) for topic, offsets in back.items()}, dict(left_out), marks)
