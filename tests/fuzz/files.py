"""Configuration files that people might apply: good ones damaged. They are taken or refused with ``InputError``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from streams.cli import files
from streams.core import config
from streams.core.errors import InputError
from tests.fuzz import hostile

CPU_MS_MAX: Final = 1000.0
RULES: Final = b"""
[[rules]]
id = "disk"
category = "disk"
severity = "error"
hint = "h"
expressions = ["no space left"]
unless = ["0 errors"]
positive = ["no space left"]
negative = ["fine"]
confidence = 0.9
case_sensitive = false
"""
POLICY: Final = b"""
attempts_max = 3
cooldown_ms = 30000
cooldown_factor = 2.0
blast_radius_share = 0.5
exploration_rate = 0.02
"""
INVENTORY: Final = b"""
[[services]]
name = "shop"
host = "h1"
type = "process"
mode = "auto"
argv = ["/bin/true"]
cwd = "/"
pid_file = "/run/shop.pid"
depends_on = ["db"]
[services.environment]
A = "b"
[[services.probes]]
kind = "http"
target = "http://127.0.0.1:1/"
every_ms = 1000
[[services]]
name = "db"
host = "h1"
base_url = "http://x"
type = "http"
"""
FILES: Final = (RULES, POLICY, INVENTORY)
PIECES: Final = (
    b"-1", b"1e400", b"nan", b"inf", b"9" * 400, b"true", b'""', b"[]", b"{}", b"[[services]]\n", b"[[rules]]\n",
    b"\x00", b"\xff",
    b'"""', b"'''", b"[a.b.c]\n", b"a.b.c = 1\n", b"[" * 500, b"a = " + b"[" * 2000, b"1979-05-27T07:32:00Z",
    b"\\ud800", b'"\\U0010FFFF"',
    b'"(a+)+$"', b'"a{1,40000}"', b'"(?=x)"', b'"["', b"x" * 3000,
)  # fmt: skip


def a_file(random: Random) -> bytes:
    """Return a damaged file."""
    text = hostile.mutated(random, lambda again: again.choice(FILES))
    if random.random() < 0.5:
        at = random.randrange(len(text) + 1)
        text = text[:at] + random.choice(PIECES) + text[at:]
    return text


def wrong(text: bytes) -> str:
    """Return what is wrong with how a file is read: another error than ``InputError``, or much processor time."""
    began = time.thread_time_ns()
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(text)
        file.flush()
        try:
            value = files.read(Path(file.name))
            config.decode_config(files.applied(value, "fuzz"))
        except InputError:
            pass
        except Exception as error:  # noqa: BLE001 - finding any is what this is for
            return f"file: {type(error).__name__}: {error}"[:300]
    cpu_ms = (time.thread_time_ns() - began) / 1e6
    return f"file: {cpu_ms:.0f} ms" if cpu_ms > CPU_MS_MAX else ""


def trouble(random: Random, count: int = 2) -> Iterator[tuple[str, bytes]]:
    """Yield what went wrong with some files, each with its text."""
    for _ in range(count):
        text = a_file(random)
        problem = wrong(text)
        if problem:
            yield problem, text
