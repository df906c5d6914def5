"""The wire: one Avro schema a file and version, never edited once released.

``released.json`` names every schema that may appear on a topic, with the SHA-256 of its file and its CRC-64-AVRO
fingerprint: it is the allow-list of readers and the lock that ``python -m schemas.check`` holds the files to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

Schema = dict[str, Any]
RELEASED: Final = "released.json"


@dataclass(frozen=True, slots=True)
class Release:
    """One released schema: ``decision`` version 1 lies in ``decision.v1.avsc``.

    ``fingerprint`` holds the eight bytes as they stand in an Avro single-object message (little-endian).
    """

    name: str
    version: int
    sha256: str
    fingerprint: bytes

    @property
    def filename(self) -> str:
        """Name of the file in this package."""
        return f"{self.name}.v{self.version}.avsc"


@cache
def released() -> tuple[Release, ...]:
    """Return every released schema, by name and version."""
    rows = json.loads(files(__name__).joinpath(RELEASED).read_bytes())
    return tuple(Release(row["name"], row["version"], row["sha256"], bytes.fromhex(row["fingerprint"])) for row in rows)


@cache
def load(name: str, version: int) -> Schema:
    """Return a released schema as parsed JSON; ``LookupError`` when there is none of that name and version."""
    for release in released():
        if (release.name, release.version) == (name, version):
            schema: Schema = json.loads(files(__name__).joinpath(release.filename).read_bytes())
            return schema
    known = ", ".join(f"{release.name} {release.version}" for release in released())
    raise LookupError(f"no released schema {name!r} version {version}; there are: {known}")


def latest(name: str) -> int:
    """Return the highest released version of a schema; ``LookupError`` when there is none of that name."""
    versions = [release.version for release in released() if release.name == name]
    if not versions:
        raise LookupError(f"no released schema is named {name!r}")
    return max(versions)
