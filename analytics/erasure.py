"""Text of lines erased on request, in place: what it was about, and that it was erased, stays.

    <directory>/erase/<id>.json    a request that waits for the writer

All free text of lines lies in evidence (see ``beside.Evidence``), which neither the chain nor the fold ever reads. A
request is a file, so that it is carried out by whoever writes the log, when all that Kafka holds is archived. The text
of each row that it is about is replaced by a note of when, by whom and why; segments with such rows are written anew
under other names, and the old ones are removed at once. The manifest keeps a record of each erasure.
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
from analytics.manifest import Erasure, Manifest, Segment, file_name
from analytics.readers import EvidenceReader, Raw
from analytics.store import Store
from analytics.tables import Row, build, entry_of, to_parquet
from streams.codec import decode, encode
from streams.core.beside import Evidence
from streams.core.errors import InputError, InvariantError

REQUESTS: Final = "erase"
REFUSED: Final = ".refused"
EVERY_SERVICE: Final = ""
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
        raise InputError(f"nothing was erased: {refused.read_text()}")
    return next((one for one in manifest.erasures if one.id == request_id), None)


def erase(store: Store, request: Request, now_ms: int) -> int:
    """Carry out a request on what is archived, and return how many texts were erased. Twice is no harm.

    Raises ``InvariantError`` when a segment is damaged: then nothing was erased.
    """
    manifest = store.manifest
    known = next((one for one in manifest.erasures if one.id == request.id), None)
    if known is not None:
        return known.texts
    places = set() if request.service == EVERY_SERVICE else set(_said_about(store, request.service))
    note = _note(request, now_ms)
    stream, contents, count = manifest.stream("evidence"), dict[str, bytes](), 0
    segments = []
    for segment in stream.segments:
        rows, changed = _rewritten(store.segments, segment, request, places, note)
        segments.append(_named(segment, rows, manifest.version + 1, contents) if changed else segment)
        count += changed
    record = Erasure(
        id=request.id,
        service=request.service,
        before_ms=request.before_ms,
        erased_ms=now_ms,
        author=request.author,
        reason=request.reason,
        texts=count,
    )
    shorter = msgspec.structs.replace(stream, segments=tuple(segments))
    retired = tuple(one for one in manifest.retired if not one.name.startswith("evidence-"))
    after = msgspec.structs.replace(
        manifest,
        streams={**manifest.streams, "evidence": shorter},
        retired=retired,
        erasures=(*manifest.erasures, record),
    )
    store.commit(after, contents)
    store.forget(manifest.names() - after.names())
    return count


def _note(request: Request, now_ms: int) -> str:
    """Return what stands in place of a text."""
    day = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d")
    why = f": {request.reason}" if request.reason else ""
    return f"(erased on {day} by {request.author}{why})"


def _said_about(store: Store, service: str) -> Iterator[Place]:
    """Yield where people said something about a service: notes on its escalations, tasks for it.

    Text of people names no service itself: it belongs to the event that they sent.
    """
    escalations = {row["id"] for row in _rows(store, "decisions", "id", "service") if row["service"] == service}
    for row in _rows(store, "answers", *_PLACE, "escalation_id"):
        if row["escalation_id"] in escalations:
            yield _place(row)
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
    segments_dir: Path, segment: Segment, request: Request, places: set[Place], note: str
) -> tuple[list[Row], int]:
    """Return a segment's rows with the text of those that are meant replaced, and how many these are."""
    file = segment.file_of("evidence")
    if file is None:
        return [], 0
    reader, rows, changed = EvidenceReader(), dict[str, list[Row]](), 0
    table: Any = read_checked(segments_dir, file)
    for row in table.to_pylist():
        value = row["kafka_value"]
        if row["kafka_append_ms"] < request.before_ms and _is_meant(row, request.service, places):
            event = decode(value)
            if not isinstance(event, Evidence):
                raise InvariantError(f"{file.name}: a row is not evidence")
            value, changed = encode(msgspec.structs.replace(event, text=note)), changed + 1
        reader.take(Raw(row["kafka_offset"], row["kafka_append_ms"], row["kafka_key"], value), rows)
    return rows["evidence"], changed


def _is_meant(row: Row, service: str, places: set[Place]) -> bool:
    place = row["topic"], row["partition"], row["offset"]
    return service in (EVERY_SERVICE, row["service"]) or place in places


def _named(segment: Segment, rows: list[Row], revision: int, contents: dict[str, bytes]) -> Segment:
    """Return a segment with its rows in a file of another name, whose bytes are put to ``contents``."""
    data = to_parquet([build("evidence", rows)])
    entry = entry_of("evidence", segment.first, segment.last, len(rows), data)
    name = file_name("evidence", segment.first, segment.last, revision)
    contents[name] = data
    return msgspec.structs.replace(segment, files=(msgspec.structs.replace(entry, name=name),))
