"""Text of lines erased on request, in place: what it was about, and that it was erased, stays.

    <directory>/erase/<id>.json    a request that waits for the writer

All free text of lines lies in evidence (see ``beside.Evidence``), which neither the chain nor the fold ever reads. A
request is a file, so that it is carried out by whoever writes the log, when all that Kafka holds is archived. The text
of each row that it is about is replaced by a note of when, by whom and why; segments with such rows are written anew
under other names, one after the other, and the old ones are removed at once. The manifest keeps a record of each
erasure when it is done.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow.parquet as pq
from msgspec import Struct

from analytics.compact import read_checked
from analytics.files import Files, put
from analytics.manifest import Erasure, FileEntry, Manifest, Segment, file_name
from analytics.readers import EvidenceReader, Raw
from analytics.store import Store
from analytics.tables import Row, build, entry_of, to_parquet
from streams.codec import decode, encode
from streams.core.beside import Evidence
from streams.core.errors import InputError, InvariantError

REQUESTS: Final = "erase"
REFUSED: Final = ".refused"
EVERY_SERVICE: Final = ""
STEP_BYTES: Final = 4 * 1024 * 1024
"""Of evidence that is read in a step: it takes seconds, so that whoever watches the writer sees that it goes on."""
_ERASED: Final = "(erased on "
Place = tuple[str, int, int]
"""Topic, partition and offset of the record that a text belongs to."""


class Request(Struct, frozen=True, kw_only=True):
    """Erase the text of a service (``""``: of all) that was recorded before a time, in ms since 1970."""

    id: str
    service: str
    before_ms: int
    asked_ms: int
    author: str
    reason: str


def ask(directory: Path, files: Files, request: Request) -> None:
    """Leave a request for the writer of a log directory."""
    (directory / REQUESTS).mkdir(mode=0o700, exist_ok=True)
    put(files, directory / REQUESTS, {f"{request.id}.json": msgspec.json.encode(request)})


def new_id() -> str:
    """Return an id for a request."""
    return uuid.uuid4().hex


def asked(directory: Path) -> Sequence[tuple[Path, Request]]:
    """Return the requests that wait; what can't be read as one is refused."""
    found = []
    for path in sorted((directory / REQUESTS).glob("*.json")):
        try:
            found.append((path, msgspec.json.decode(path.read_bytes(), type=Request)))
        except msgspec.MsgspecError as error:
            refuse(path, str(error))
    return found


def refuse(path: Path, reason: str) -> None:
    """Put a request aside, with the reason why it is not carried out."""
    path.with_suffix(REFUSED).write_text(reason)
    path.unlink()


def state_of(directory: Path, manifest: Manifest, request_id: str) -> Erasure | None:
    """Return what came of a request, None while it waits; ``InputError`` when it was refused."""
    refused = (directory / REQUESTS / request_id).with_suffix(REFUSED)
    if refused.exists():
        raise InputError(f"not all of it was erased: {refused.read_text()}")
    return next((one for one in manifest.erasures if one.id == request_id), None)


class Erasing:
    """A request that is being carried out: some segments a step, each committed, however much text there is.

    A process that is killed begins again, and finds done what was done.
    """

    def __init__(self, store: Store, request: Request) -> None:
        self._store, self._request = store, request
        self._places: set[Place] | None = None
        self._counts: dict[str, int] = {}
        """How many texts are erased in each file that was looked at."""

    def step(self, now_ms: int) -> bool:
        """Erase in the next segments, ``STEP_BYTES`` of them; True when all is erased, and on record.

        Raises ``InvariantError`` when a segment is damaged: it and those after it are as they were.
        """
        manifest = self._store.manifest
        if any(one.id == self._request.id for one in manifest.erasures):
            return True
        size = 0
        for segment in manifest.stream("evidence").segments:
            file = segment.file_of("evidence")
            if file is None or file.name in self._counts:
                continue
            if size >= STEP_BYTES:
                return False
            size += file.size
            self._erase_in(segment, file, now_ms)
        self._record(now_ms)
        return True

    def _erase_in(self, segment: Segment, file: FileEntry, now_ms: int) -> None:
        """Write a segment anew without the text that is meant, and remove the file that had it."""
        rows, count = _rewritten(self._store.segments, file, self._request, self._meant_places(), now_ms)
        if not rows:
            self._counts[file.name] = count
            return
        manifest, contents = self._store.manifest, dict[str, bytes]()
        stream, written = manifest.stream("evidence"), _named(segment, rows, manifest.version + 1, contents)
        segments = tuple(written if one == segment else one for one in stream.segments)
        shorter = msgspec.structs.replace(stream, segments=segments)
        changed = msgspec.structs.replace(manifest, streams={**manifest.streams, "evidence": shorter})
        self._store.commit(changed, contents)
        self._store.forget(frozenset({file.name}))
        self._counts[written.files[0].name] = count

    def _record(self, now_ms: int) -> None:
        """Put on record what was erased, and remove merged files that may still have it."""
        manifest, request = self._store.manifest, self._request
        record = Erasure(
            id=request.id,
            service=request.service,
            before_ms=request.before_ms,
            erased_ms=now_ms,
            author=request.author,
            reason=request.reason,
            texts=sum(self._counts.get(file.name, 0) for file in manifest.files("evidence")),
        )
        retired = tuple(one for one in manifest.retired if not one.name.startswith("evidence-"))
        after = msgspec.structs.replace(manifest, retired=retired, erasures=(*manifest.erasures, record))
        self._store.commit(after, {})
        self._store.forget(manifest.names() - after.names())

    def _meant_places(self) -> set[Place]:
        if self._places is None:
            every = self._request.service == EVERY_SERVICE
            self._places = set() if every else set(_said_about(self._store, self._request.service))
        return self._places


def _note(request: Request, now_ms: int) -> str:
    """Return what stands in place of a text."""
    day = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d")
    return f"{_ERASED}{day}{_signed(request)}"


def _is_note(text: str, request: Request) -> bool:
    """Tell whether a text was erased for a request already, maybe on another day."""
    return text.startswith(_ERASED) and text[len(_ERASED) + len("2026-11-01") :] == _signed(request)


def _signed(request: Request) -> str:
    return f" by {request.author}{f': {request.reason}' if request.reason else ''})"


def _said_about(store: Store, service: str) -> Iterator[Place]:
    """Yield where people said something about a service: notes on its escalations, tasks for it.

    Text of people names no service itself: it belongs to the event that they sent.
    """
    answered: dict[str, list[Place]] = {}
    for row in _rows(store, "answers", *_PLACE, "escalation_id"):
        answered.setdefault(row["escalation_id"], []).append(_place(row))
    for row in _rows(store, "decisions", "id", "service") if answered else ():
        if row["service"] == service:
            yield from answered.get(row["id"], ())
    for row in _rows(store, "tasks_submitted", *_PLACE, "service"):
        if row["service"] == service:
            yield _place(row)


_PLACE: Final = ("source", "source_partition", "message_offset")


def _place(row: Row) -> Place:
    return row["source"], row["source_partition"], row["message_offset"]


def _rows(store: Store, table: str, *columns: str) -> Iterator[Row]:
    for file in store.manifest.files(table):
        with pq.ParquetFile(store.segments / file.name) as source:
            for batch in source.iter_batches(columns=list(columns)):
                yield from batch.to_pylist()


def _rewritten(
    segments_dir: Path, file: FileEntry, request: Request, places: set[Place], now_ms: int
) -> tuple[list[Row], int]:
    """Return a file's rows with the text of those that are meant replaced, and how many these are.

    There are no rows when none had to be changed.
    """
    table: Any = read_checked(segments_dir, file)
    columns = table.select([*_MEANT, "text"]).to_pylist()
    meant = {at for at, row in enumerate(columns) if _is_meant(row, request, places)}
    if all(_is_note(columns[at]["text"], request) for at in meant):
        return [], len(meant)
    reader, rows, note = EvidenceReader(), dict[str, list[Row]](), _note(request, now_ms)
    for at, row in enumerate(table.select(_RAW).to_pylist()):
        value = row["kafka_value"]
        if at in meant:
            event = decode(value)
            if not isinstance(event, Evidence):
                raise InvariantError(f"{file.name}: a row is not evidence")
            value = encode(msgspec.structs.replace(event, text=note))
        reader.take(Raw(row["kafka_offset"], row["kafka_append_ms"], row["kafka_key"], value), rows)
    return rows["evidence"], len(meant)


_MEANT: Final = ("kafka_append_ms", "service", "topic", "partition", "offset")
_RAW: Final = ["kafka_offset", "kafka_append_ms", "kafka_key", "kafka_value"]


def _is_meant(row: Row, request: Request, places: set[Place]) -> bool:
    place = row["topic"], row["partition"], row["offset"]
    is_about = request.service in (EVERY_SERVICE, row["service"]) or place in places
    return is_about and bool(row["kafka_append_ms"] < request.before_ms)


def _named(segment: Segment, rows: list[Row], revision: int, contents: dict[str, bytes]) -> Segment:
    """Return a segment with its rows in a file of another name, whose bytes are put to ``contents``."""
    data = to_parquet([build("evidence", rows)])
    entry = entry_of("evidence", segment.first, segment.last, len(rows), data)
    name = file_name("evidence", segment.first, segment.last, revision)
    contents[name] = data
    return msgspec.structs.replace(segment, files=(msgspec.structs.replace(entry, name=name),))
