"""``python -m schemas.check`` proves that every released schema is as it was, sound, and readable by later versions.

With ``--release`` new files are added to the lock; what is in it already is never changed.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException

from schemas import RELEASED, Release

HERE: Final = Path(__file__).parent
FILE_NAME: Final = re.compile(r"(?P<name>[a-z_]+)\.v(?P<version>[1-9][0-9]*)\.avsc")


def read_lock(room: Path) -> list[Release]:
    """Return the lock of a directory of schemas; empty when there is none yet."""
    path = room / RELEASED
    rows = json.loads(path.read_bytes()) if path.exists() else []
    return [Release(row["name"], row["version"], row["sha256"], bytes.fromhex(row["fingerprint"])) for row in rows]


def write_lock(room: Path, releases: Iterable[Release]) -> None:
    """Write the lock, one release a line, by name and version."""
    rows = [
        json.dumps({"name": r.name, "version": r.version, "sha256": r.sha256, "fingerprint": r.fingerprint.hex()})
        for r in sorted(releases, key=lambda r: (r.name, r.version))
    ]
    (room / RELEASED).write_text("[\n  " + ",\n  ".join(rows) + "\n]\n")


def measure(path: Path) -> Release:
    """Return what the lock must say of a schema file; ``ValueError`` when its name or content is wrong."""
    match = FILE_NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path.name}: a schema file is named <name>.v<version>.avsc")
    body = path.read_bytes()
    try:
        fingerprint = avro.schema.parse(body.decode()).fingerprint("CRC-64-AVRO")
    except (AvroException, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    return Release(match["name"], int(match["version"]), hashlib.sha256(body).hexdigest(), bytes(fingerprint))


def unsound(schema: Any, path: str = "", inside: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield why a schema could be abused: recursion, items of no size, and types that we never use.

    A few bytes can claim millions of items that take no byte each, and deep data for a recursive schema ends a
    C decoder, so neither may be expressible.
    """
    match schema:
        case list():
            for branch in schema:
                yield from unsound(branch, path, inside)
        case {"type": "record", "name": str(name), "fields": list(fields)}:
            for field in fields:
                yield from unsound(field["type"], f"{path}/{field['name']}", (*inside, name))
        case {"type": "array", "items": items}:
            if _takes_no_byte(items):
                yield f"{path}: an array of items that take no byte"
            yield from unsound(items, f"{path}[]", inside)
        case str() if schema in inside:
            yield f"{path}: {schema} contains itself"
        case str():
            return
        case _:
            yield f"{path}: {schema!r} is neither a record, an array, a union nor a simple type"


def _takes_no_byte(items: Any) -> bool:
    match items:
        case "null":
            return True
        case {"type": "record", "fields": list(fields)}:
            return all(_takes_no_byte(field["type"]) for field in fields)
    return False


def records(schema: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, JSON) of every record in a schema, itself included."""
    match schema:
        case list():
            for branch in schema:
                yield from records(branch)
        case {"type": "record", "name": str(name), "fields": list(fields)}:
            yield name, json.dumps(schema["fields"], sort_keys=True)
            for field in fields:
                yield from records(field["type"])
        case {"type": "array", "items": items}:
            yield from records(items)


def changed(lock: Mapping[str, Release], found: Mapping[str, Release]) -> Iterator[str]:
    """Yield what is not as it was released."""
    for filename, release in lock.items():
        if filename not in found:
            yield f"{filename}: was released and is gone"
        elif found[filename] != release:
            yield f"{filename}: was changed after its release; add a new version instead"
    for filename in found:
        if filename not in lock:
            yield f"{filename}: is not released; run python -m schemas.check --release"
    prints = [release.fingerprint for release in found.values()]
    if len(set(prints)) != len(prints):
        yield "two schemas have the same fingerprint"


def incompatible(room: Path, found: Iterable[Release]) -> Iterator[str]:
    """Yield the versions that cannot read an older one."""
    by_name: dict[str, list[Release]] = {}
    for release in sorted(found, key=lambda release: release.version):
        by_name.setdefault(release.name, []).append(release)
    for family in by_name.values():
        for index, reader in enumerate(family):
            for writer in family[:index]:
                yield from _unreadable(room, reader, writer)


def _unreadable(room: Path, reader: Release, writer: Release) -> Iterator[str]:
    result = ReaderWriterCompatibilityChecker().get_compatibility(
        reader=avro.schema.parse((room / reader.filename).read_text()),
        writer=avro.schema.parse((room / writer.filename).read_text()),
    )
    if result.compatibility is not SchemaCompatibilityType.compatible:
        yield f"{reader.filename} cannot read {writer.filename}: {'; '.join(sorted(result.messages))}"


def differing(room: Path, found: Iterable[Release]) -> Iterator[str]:
    """Yield the records that the newest versions spell out in two ways."""
    newest: dict[str, Release] = {}
    for release in sorted(found, key=lambda release: release.version):
        newest[release.name] = release
    seen: dict[str, tuple[str, str]] = {}
    for release in newest.values():
        for name, body in records(json.loads((room / release.filename).read_bytes())):
            filename, other = seen.setdefault(name, (release.filename, body))
            if other != body:
                yield f"{name} differs between {filename} and {release.filename}"


def check(room: Path = HERE) -> list[str]:
    """Return everything that is wrong with a directory of schemas, one line each."""
    try:
        found = {release.filename: release for release in map(measure, sorted(room.glob("*.avsc")))}
    except ValueError as error:
        return [str(error)]
    faults = list(changed({release.filename: release for release in read_lock(room)}, found))
    for filename in found:
        faults += [f"{filename}{fault}" for fault in unsound(json.loads((room / filename).read_bytes()))]
    return [*faults, *incompatible(room, found.values()), *differing(room, found.values())]


def release(room: Path = HERE) -> None:
    """Add new files to the lock."""
    lock = {entry.filename: entry for entry in read_lock(room)}
    found = {entry.filename: entry for entry in map(measure, sorted(room.glob("*.avsc")))}
    write_lock(room, (found | lock).values())


def main(arguments: Sequence[str]) -> int:
    """Run the check; 0 when all is well, else 1 and one line a fault."""
    if "--release" in arguments:
        release()
    faults = check()
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
