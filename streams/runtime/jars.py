"""Finds Kafka's jars: a Maven resolver brings them on first use, afterwards they are read without it or a network.

The resolver runs in a process of its own, so that a registry which does not answer can be given up on.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from streams.core.errors import InputError
from streams.runtime.address import write_whole
from streams.runtime.java_archive import archive_file, make_archive

KAFKA: Final = "org.apache.kafka:kafka_2.13:4.3.0"
LOGGING: Final = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
"""Kafka logs through an interface that its own dependencies don't implement. Resolved apart: together with Kafka its
parent's version table replaces kafka-clients by 3.9.1."""

CHECKSUMS: Final = Path(__file__).with_name("kafka.sha256")
FETCH_TIMEOUT_S: Final = 300


async def kafka_jars(timeout_s: float = FETCH_TIMEOUT_S) -> list[Path]:
    """Return the jars to put on Kafka's class path; ``InputError`` when they are not there and can't be fetched."""
    if jars := await asyncio.to_thread(_prepared):
        return jars
    try:
        status, output, errors = await run_to_end([sys.executable, "-m", "streams.runtime.jars"], timeout_s)
    except TimeoutError as error:
        raise InputError(_advice(f"no answer in {timeout_s:.0f} s")) from error
    if status:
        raise InputError(_advice(errors or f"exit status {status}"))
    return [Path(jar) for jar in json.loads(output.splitlines()[-1])]


async def run_to_end(
    command: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run a command; return its exit status, its output, and the last line of its errors, cut to 200 characters.

    It is killed when the caller is cancelled, and when it lasts longer than ``timeout_s`` (then ``TimeoutError``).
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, errors = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    lines = errors.decode(errors="replace").strip().splitlines()
    return process.returncode or 0, output.decode(errors="replace"), lines[-1][:200] if lines else ""


def _advice(problem: str) -> str:
    return (
        "Kafka can't be fetched from a Maven repository, which its first use needs: connect to one (a mirror goes into "
        f"~/.config/jgo.conf as [repositories] central = URL) or set LOGMEND_BROKERS to a Kafka of yours: {problem}"
    )


def checksums() -> dict[str, str]:
    """Return SHA-256 in hex by name of each jar that belongs to this Kafka."""
    rows = (line.split() for line in CHECKSUMS.read_text().splitlines())
    return {name: digest for digest, name in rows}


def damaged(jars: Sequence[Path], expected: Mapping[str, str]) -> list[str]:
    """Return the names that are missing or have other bytes than expected; other jars are ignored."""
    found = {jar.name: jar for jar in jars if jar.name in expected and jar.is_file()}
    return [name for name, digest in expected.items() if name not in found or _sha256(found[name]) != digest]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Known(Struct, frozen=True):
    """What was found and made the last time."""

    jars: list[str]
    archive_sha256: str
    """Of the archive of their classes."""


def _known_file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "logmend" / "kafka.json"


def _known() -> _Known:
    try:
        return msgspec.json.decode(_known_file().read_bytes(), type=_Known)
    except (OSError, ValueError):
        return _Known([], "")


def _prepared() -> list[Path]:
    """Return the jars that were resolved before, if they and the archive of their classes are whole; else none."""
    known = _known()
    jars = _whole(known)
    with contextlib.suppress(OSError):
        if jars and _sha256(archive_file(jars)) == known.archive_sha256:
            return jars
    return []


def _whole(known: _Known) -> list[Path]:
    jars = [Path(jar) for jar in known.jars]
    return [] if damaged(jars, checksums()) else jars


def _prepare() -> list[Path]:
    """Resolve the jars and make the archive of their classes, one process at a time.

    The resolver is not asked for what is there and whole: it would lay the files out anew under a Java that is just
    reading them.
    """
    file = _known_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if jars := _prepared():
            return jars
        jars = _whole(_known()) or _resolve()
        make_archive(jars)
        found = _Known([str(jar) for jar in jars], _sha256(archive_file(jars)))
        write_whole(file, msgspec.json.encode(found))
    return jars


def _resolve() -> list[Path]:
    """Resolve with the user's own settings of the resolver (caches, mirrors).

    It takes what an interrupted download left for whole, so bytes are checked, and once fetched again.
    """
    from jgo.config import GlobalSettings  # noqa: PLC0415 - only this process needs it

    resolver, expected = GlobalSettings.load(), checksums()
    jars = _build(resolver.repositories, update=False)
    if bad := damaged(jars, expected):
        for path in [*jars, *resolver.repo_cache.rglob("*.jar")]:
            if path.name in bad:
                path.unlink(missing_ok=True)
        jars = _build(resolver.repositories, update=True)
        bad = damaged(jars, expected)
    if bad:
        raise InputError(f"the repository's {', '.join(bad[:3])} are not the bytes that belong to {KAFKA}")
    return [jar for jar in jars if jar.name in expected]


def _build(mirrors: dict[str, str], *, update: bool) -> list[Path]:
    import jgo  # noqa: PLC0415 - only this process needs it

    environments = [jgo.build(what, update=update, repositories=mirrors) for what in (KAFKA, LOGGING)]
    return list({jar.name: jar for environment in environments for jar in environment.all_jars}.values())


if __name__ == "__main__":
    sys.stdout.write(json.dumps([str(jar) for jar in _prepare()]) + "\n")
