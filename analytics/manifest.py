"""The manifest: which files are the event log, and how far it reaches.

A segment accounts for the Kafka offsets [first, last] of one topic. It has one file per table that has rows there
(facts have their raw rows, and detections, tallies and so on derived from them). The manifest is replaced as a whole by
a rename, so what it names is the log: a file that it does not name was never committed, or is retired.

``sha256`` is the hash of the manifest's own bytes with that field empty; ``previous_sha256`` is that of the one before.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from streams.core.errors import InputError
from streams.core.slices import Ledger

MANIFEST: Final = "manifest.json"
SEGMENTS: Final = "segments"
FORMAT: Final = 1
STREAMS: Final = ("evidence", "facts", "decisions", "commands")
"""In the order in which they are archived: what is named is there before what names it."""
_REVISION: Final = re.compile(r"-[1-9][0-9]*")


class _Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what stands in a manifest."""


class FileEntry(_Entry, frozen=True):
    """One Parquet file: its table, size in bytes, rows and SHA-256."""

    name: str
    table: str
    rows: int
    size: int
    sha256: str


class Segment(_Entry, frozen=True):
    """Kafka offsets [first, last] of one topic, in files.

    ``level`` counts how often it was merged. For decisions and commands ``first_seq`` and ``last_seq`` are the ends of
    the numbers in it (-1: it holds repeats only) and ``head`` the chain's hash after its last decision.
    """

    first: int
    last: int
    level: int
    files: tuple[FileEntry, ...]
    newest_ms: int
    first_seq: int = -1
    last_seq: int = -1
    head: str = ""

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def rows(self) -> int:
        """Rows of all its files."""
        return sum(file.rows for file in self.files)

    def file_of(self, table: str) -> FileEntry | None:
        """Return its file of a table; None when the table has no rows in it."""
        return next((file for file in self.files if file.table == table), None)


class Gap(_Entry, frozen=True):
    """Offsets [first, last] that the broker had deleted before they were archived."""

    first: int
    last: int


class Stream(_Entry, frozen=True):
    """One topic's part of the log. ``position`` is the first offset that is not archived yet (-1: never read).

    ``start`` is the first offset whose text is still kept: evidence is erased from the front.
    """

    topic: str = ""
    start: int = 0
    position: int = -1
    last_seq: int = -1
    head: str = ""
    segments: tuple[Segment, ...] = ()
    gaps: tuple[Gap, ...] = ()


class Retired(_Entry, frozen=True):
    """A file that was merged or has outlived its retention; removed a while after ``since_ms``."""

    name: str
    size: int
    sha256: str
    since_ms: int


class Erasure(_Entry, frozen=True):
    """Text that was erased on request: of which service (``""``: of all), recorded before when, by whom and why.

    ``texts`` says how many; ``erased_ms`` is when it was done.
    """

    id: str
    service: str
    before_ms: int
    erased_ms: int
    author: str
    reason: str
    texts: int


class Manifest(_Entry, frozen=True):
    """The whole log at one moment. ``ledger`` is the readers' rule after the last archived fact.

    ``erasures`` is left out of the bytes while there are none.
    """

    format: int = FORMAT
    version: int = 0
    previous_sha256: str = ""
    streams: dict[str, Stream] = {}
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    retired: tuple[Retired, ...] = ()
    sha256: str = ""
    erasures: tuple[Erasure, ...] = ()

    def stream(self, name: str) -> Stream:
        """Return a topic's part: ``facts``, ``decisions``, ``commands`` or ``evidence``."""
        return self.streams.get(name, Stream())

    def files(self, table: str) -> tuple[FileEntry, ...]:
        """Return the files of a table, in order of offsets."""
        return tuple(
            file
            for stream in self.streams.values()
            for segment in stream.segments
            for file in segment.files
            if file.table == table
        )

    def names(self) -> frozenset[str]:
        """Return the names of all files that are part of the log or retired."""
        kept = {file.name for part in self.streams.values() for segment in part.segments for file in segment.files}
        return frozenset(kept | {gone.name for gone in self.retired})


def file_name(table: str, first: int, last: int, revision: int = 0) -> str:
    """Return the name of a table's file for Kafka offsets [first, last]; rewritten, it has a ``revision`` too."""
    return f"{table}-{first:020d}-{last:020d}{f'-{revision}' if revision else ''}.parquet"


def names(file: FileEntry, first: int, last: int) -> bool:
    """Tell whether a file has a name for Kafka offsets [first, last]; only evidence is ever rewritten."""
    plain = file_name(file.table, first, last)
    rewritten = file.name.removeprefix(plain.removesuffix(".parquet")).removesuffix(".parquet")
    return file.name == plain or (file.table == "evidence" and _REVISION.fullmatch(rewritten) is not None)


def seal(manifest: Manifest, previous: Manifest) -> tuple[Manifest, bytes]:
    """Return the successor of ``previous`` with number and hashes filled in, and its bytes."""
    bare = msgspec.structs.replace(manifest, version=previous.version + 1, previous_sha256=previous.sha256, sha256="")
    sealed = msgspec.structs.replace(bare, sha256=hashlib.sha256(_encode(bare)).hexdigest())
    return sealed, _encode(sealed)


def unseal(data: bytes) -> Manifest:
    """Return the manifest that bytes hold; ``InputError`` when a single bit of them is not as it was written."""
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{MANIFEST} is damaged: {error}") from error
    if manifest.format != FORMAT:
        raise InputError(f"{MANIFEST} has format {manifest.format}; this release reads {FORMAT}")
    bare = msgspec.structs.replace(manifest, sha256="")
    if hashlib.sha256(_encode(bare)).hexdigest() != manifest.sha256 or _encode(manifest) != data:
        raise InputError(f"{MANIFEST} is damaged: it does not have the hash it claims")
    return manifest


def load(directory: Path) -> Manifest:
    """Return the newest manifest of a log directory, an empty one when there is none.

    Raises ``InputError`` when it is damaged, ``OSError`` when it can't be read.
    """
    try:
        data = (directory / MANIFEST).read_bytes()
    except FileNotFoundError:
        return Manifest()
    return unseal(data)


def _encode(manifest: Manifest) -> bytes:
    known = msgspec.to_builtins(manifest, order="deterministic")
    if not manifest.erasures:
        del known["erasures"]
    return msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n"
