"""Where snapshots of the fold are kept: local files, often; a compacted topic, seldom. Two of each.

A snapshot is wrapped in an envelope with the hash of its body, so damage anywhere is seen: what is damaged is left out,
and the reader takes the older one, or folds again. Both stores are ``ports.SnapshotStore``.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from streams import telemetry
from streams.core.errors import InputError
from streams.ports import Log, Outgoing, TopicPartition

KEPT: Final = 2
MAGIC: Final = b"LMSN"
VERSION: Final = 1
_HEAD: Final = len(MAGIC) + 1
_DIGEST: Final = 32
CHUNK_BYTES_MAX: Final = 512 * 1024
SEAL_KEY: Final = "seal"


def wrap(body: bytes) -> bytes:
    """Return the envelope of a snapshot: magic, version of the envelope, SHA-256 of the body, body."""
    return MAGIC + bytes([VERSION]) + hashlib.sha256(body).digest() + body


def unwrap(envelope: bytes) -> bytes:
    """Return the body of an envelope; ``InputError`` when it is damaged or of another version."""
    if envelope[: len(MAGIC)] != MAGIC or len(envelope) < _HEAD + _DIGEST:
        raise InputError("not a snapshot, or cut short")
    if envelope[len(MAGIC)] != VERSION:
        raise InputError(f"an envelope of version {envelope[len(MAGIC)]}; ours is {VERSION}")
    body = envelope[_HEAD + _DIGEST :]
    if hashlib.sha256(body).digest() != envelope[_HEAD : _HEAD + _DIGEST]:
        raise InputError("the body does not have the hash it claims")
    return body


class FileSnapshots:
    """The newest two snapshots as files of a directory, numbered as they were saved."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def newest(self) -> Sequence[bytes]:
        """See ``ports.SnapshotStore.newest``."""
        return await asyncio.to_thread(self._newest)

    async def save(self, snapshot: bytes) -> None:
        """See ``ports.SnapshotStore.save``. Raises ``InputError`` when the disk is full or not writable."""
        began = time.monotonic()
        try:
            await asyncio.to_thread(self._save, snapshot)
        except OSError as error:
            raise InputError(f"{self._directory}: a snapshot can't be written: {error.strerror}") from error
        telemetry.snapshot_saved("file", len(snapshot), time.monotonic() - began)

    def _files(self) -> list[Path]:
        """Return the whole files, newest first."""
        return sorted(self._directory.glob("snapshot-*.bin"), reverse=True)

    def _newest(self) -> list[bytes]:
        found = []
        for path in self._files():
            try:
                found.append(unwrap(path.read_bytes()))
            except (InputError, OSError) as error:
                telemetry.snapshot_damaged("file", path.name, str(error))
        return found

    def _save(self, snapshot: bytes) -> None:
        """Write beside, make durable, rename, make the name durable, and only then let the oldest go."""
        self._directory.mkdir(parents=True, exist_ok=True)
        files = self._files()
        number = int(files[0].stem.rpartition("-")[2]) + 1 if files else 0
        path = self._directory / f"snapshot-{number:012d}.bin"
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(wrap(snapshot))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_directory(self._directory)
        for old in files[KEPT - 1 :]:
            old.unlink(missing_ok=True)


class SavedMeanwhile:
    """A store of files into which snapshots are written while work goes on: two ``fsync`` take 20 ms and more.

    Snapshots are of acknowledged state, and one that a crash cuts short is as if it had never been begun.
    """

    def __init__(self, store: FileSnapshots) -> None:
        self._store = store
        self._saving: asyncio.Task[None] | None = None

    async def newest(self) -> Sequence[bytes]:
        """See ``ports.SnapshotStore.newest``; what is being written is waited for."""
        if self._saving is not None:
            await asyncio.wait({self._saving})
        return await self._store.newest()

    async def save(self, snapshot: bytes) -> None:
        """Begin to save, once the last save is done. Raises ``InputError`` when that one failed."""
        last, self._saving = self._saving, None
        try:
            if last is not None:
                await last
        finally:
            self._saving = asyncio.get_running_loop().create_task(self._store.save(snapshot))
            self._saving.add_done_callback(_look_at)


def _look_at(saving: asyncio.Task[None]) -> None:
    """Take note of how a save ended: after the last one nobody asks."""
    if not saving.cancelled():
        saving.exception()


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Seal(Struct, frozen=True, array_like=True):
    """Ends a snapshot in the topic: how many chunks its slot must have, and the envelope's SHA-256."""

    slot: int
    chunks: int
    sha256: bytes


class TopicSnapshots:
    """The newest two snapshots in a compacted topic, in two slots that are overwritten in turn.

    A slot's records are its chunks, keyed ``slot/number``, and then its seal: a snapshot without a seal was never
    finished, and a seal whose chunks were overwritten or are gone does not match. Two writers at a time (a zombie) can
    spoil each other's snapshot, never make a false one.
    """

    def __init__(self, log: Log, topic: str) -> None:
        self._log = log
        self._where = TopicPartition(topic, 0)
        self._slot: int | None = None

    async def newest(self) -> Sequence[bytes]:
        """See ``ports.SnapshotStore.newest``."""
        seals, chunks = await self._read()
        found = []
        for seal in seals:
            parts = [chunks.get(f"{seal.slot}/{number}", b"") for number in range(seal.chunks)]
            envelope = b"".join(parts)
            try:
                if hashlib.sha256(envelope).digest() != seal.sha256:
                    raise InputError("chunks are missing or overwritten")  # noqa: TRY301 - one place says what is damaged
                found.append(unwrap(envelope))
            except InputError as error:
                telemetry.snapshot_damaged("topic", f"slot {seal.slot}", str(error))
        return found

    async def save(self, snapshot: bytes) -> None:
        """See ``ports.SnapshotStore.save``: into the slot that does not hold the newest whole snapshot."""
        began = time.monotonic()
        if self._slot is None:
            seals, _ = await self._read()
            self._slot = seals[0].slot if seals else KEPT - 1
        slot = (self._slot + 1) % KEPT
        envelope = wrap(snapshot)
        parts = [envelope[at : at + CHUNK_BYTES_MAX] for at in range(0, len(envelope), CHUNK_BYTES_MAX)]
        seal = _Seal(slot, len(parts), hashlib.sha256(envelope).digest())
        await self._log.append([self._record(f"{slot}/{number}", part) for number, part in enumerate(parts)])
        await self._log.append([self._record(f"{slot}/{SEAL_KEY}", msgspec.msgpack.encode(seal))])
        self._slot = slot
        telemetry.snapshot_saved("topic", len(snapshot), time.monotonic() - began)

    def _record(self, key: str, value: bytes) -> Outgoing:
        return Outgoing(self._where.topic, value, key.encode())

    async def _read(self) -> tuple[list[_Seal], dict[str, bytes]]:
        """Return the seals, newest first, and the last value of each chunk's key."""
        seals: dict[int, _Seal] = {}
        chunks: dict[str, bytes] = {}
        start, end = await self._log.bounds(self._where)
        while records := await self._log.read(self._where, start, end):
            for record in records:
                key = (record.key or b"").decode(errors="replace")
                if key.endswith(SEAL_KEY):
                    self._take_seal(record.value or b"", seals)
                else:
                    chunks[key] = record.value or b""
            start = records[-1].offset + 1
        return list(reversed(seals.values())), chunks

    def _take_seal(self, value: bytes, seals: dict[int, _Seal]) -> None:
        try:
            seal = msgspec.msgpack.decode(value, type=_Seal)
        except msgspec.MsgspecError as error:
            telemetry.snapshot_damaged("topic", "seal", str(error))
            return
        seals.pop(seal.slot, None)
        seals[seal.slot] = seal
