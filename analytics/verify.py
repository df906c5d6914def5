"""``verify``: whether the archive is what was written, is complete, and agrees with itself and with Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

from msgspec import Struct

from analytics.contents import Contents, Finding
from analytics.manifest import MANIFEST, STREAMS, Manifest, Segment, Stream, file_name, load, names
from analytics.store import is_written
from streams.core.errors import InputError
from streams.ports import Log, TopicPartition

LAG_MS: Final = 60_000
"""A record younger than this may still be waiting for a running writer."""
FINDINGS_MAX: Final = 100
RETRIES_MAX: Final = 3
"""What is found while a writer merges files is only believed when it is found again in a newer manifest."""
_NEVER_MS: Final = 1 << 62


class Report(Struct, frozen=True, kw_only=True):
    """What was found (at most ``FINDINGS_MAX``), and how many files, bytes and records were looked at."""

    findings: tuple[Finding, ...]
    counts: dict[str, int]

    @property
    def ok(self) -> bool:
        """True when nothing was found."""
        return not self.findings


async def verify(directory: Path, log: Log | None = None, *, now_ms: int = 0) -> Report:
    """Check a log directory, and with ``log`` that Kafka has nothing that is missing in it.

    While a writer runs, records appended less than ``LAG_MS`` before ``now_ms`` (ms since 1970) may be missing.
    """
    for _ in range(RETRIES_MAX):
        report = await _verify(directory, log, now_ms)
        if report.ok or not is_written(directory):
            break
    return report


async def _verify(directory: Path, log: Log | None, now_ms: int) -> Report:
    try:
        manifest = load(directory)
    except (InputError, OSError) as error:
        return Report(findings=(Finding(file=MANIFEST, message=str(error)),), counts={})
    if manifest.version == 0:
        nothing = Finding(file=MANIFEST, message="there is none: this is no event log")
        return Report(findings=(nothing,), counts={})
    contents = Contents(directory, manifest)
    found = list(islice(chain(_names(manifest), contents.findings()), FINDINGS_MAX))
    if log is not None:
        old_ms = now_ms - LAG_MS if is_written(directory) else _NEVER_MS
        found += [finding async for finding in _beyond(manifest, log, old_ms)]
    return Report(findings=tuple(found[:FINDINGS_MAX]), counts=dict(contents.counts))


def _names(manifest: Manifest) -> Iterator[Finding]:
    """Check that every stream's segments join, from its first offset to its position."""
    for name, stream in manifest.streams.items():
        position = stream.start
        for segment in stream.segments:
            expected = _after_gaps(stream, position)
            if segment.first != expected:
                what = "offsets are missing before it" if segment.first > expected else "offsets are there twice"
                yield Finding(
                    file=file_name(name, segment.first, segment.last), message=f"follows {position - 1}: {what}"
                )
            yield from _files(name, segment)
            position = segment.last + 1
        if _after_gaps(stream, position) != max(stream.position, 0):
            message = f"{name}: the last segment ends at {position - 1}, but the log at {stream.position - 1}"
            yield Finding(file=MANIFEST, message=message)


def _after_gaps(stream: Stream, position: int) -> int:
    """Return the first offset from a position on that the broker still had."""
    for gap in stream.gaps:
        if gap.first <= position <= gap.last:
            position = gap.last + 1
    return position


def _files(name: str, segment: Segment) -> Iterator[Finding]:
    for file in segment.files:
        if not names(file, segment.first, segment.last):
            yield Finding(file=file.name, message=f"is listed for {name} [{segment.first}, {segment.last}]")


async def _beyond(manifest: Manifest, log: Log, old_ms: int) -> AsyncIterator[Finding]:
    """Name what Kafka has beyond the archive, if it was appended before ``old_ms``."""
    for name in STREAMS:
        stream = manifest.stream(name)
        if stream.position < 0:
            continue
        earliest, end = await log.bounds(where := TopicPartition(stream.topic, 0))
        last = stream.segments[-1] if stream.segments else None
        file = file_name(name, last.first, last.last) if last else ""
        if end < stream.position:
            message = f"{stream.topic} ends at {end}, but {stream.position} offsets are archived"
            yield Finding(file=file, message=message)
        start = max(stream.position, earliest)
        first = await log.read(where, start, end) if start < end else ()
        if first and first[0].timestamp < old_ms:
            message = f"is the last of {stream.topic}, but Kafka has offsets {start} to {end - 1} after it"
            yield Finding(file=file, message=message)
