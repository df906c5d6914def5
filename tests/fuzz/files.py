"""Configuration files that people might apply: good ones damaged. They are taken or refused with ``InputError``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Final

from streams.cli import files
from streams.core import config
from streams.core.errors import InputError
from streams.ingest import matcher
from tests.fuzz import hostile

MEMORY: Final = Path("/dev/shm")
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
VALUES: Final = (
    b"0", b"1", b"-1", b"7", b"0.5", b"1.0", b"1e9", b"9223372036854775807", b"true", b"false", b"nan", b"inf", b'""',
    b'"a"', b'"shop"', b'"error"', b'"critical"', b'"observe"', b'"approve"', b'"process"', b'"/"', b'"a b"', b"[]",
    b'"http://localhost:1/"', b'["a"]', b'["no space"]', b'["(a|b)+c"]', b'["a{1,9999}"]', b'["["]', b"{}",
    b'["/bin/true", "-x"]', b'{A = "b"}', b'"' + b"x" * 5_000 + b'"',
)  # fmt: skip
PIECES: Final = (
    b"-1", b"1e400", b"nan", b"inf", b"9" * 400, b"true", b'""', b"[]", b"{}", b"[[services]]\n", b"[[rules]]\n",
    b"\x00", b"\xff",
    b'"""', b"'''", b"[a.b.c]\n", b"a.b.c = 1\n", b"[" * 500, b"a = " + b"[" * 2000, b"1979-05-27T07:32:00Z",
    b"\\ud800", b'"\\U0010FFFF"',
    b'"(a+)+$"', b'"a{1,40000}"', b'"(?=x)"', b'"["', b"x" * 3000,
)  # fmt: skip


def a_rule_file(random: Random) -> bytes:
    """Return a damaged rule file."""
    return _damaged(random, (RULES,))


def a_configuration(random: Random) -> bytes:
    """Return a damaged policy or inventory."""
    return _damaged(random, (POLICY, INVENTORY))


def _damaged(random: Random, good: tuple[bytes, ...]) -> bytes:
    if random.random() < 0.5:
        return _varied(random, random.choice(good))
    text = hostile.mutated(random, lambda again: again.choice(good))
    if random.random() < 0.5:
        at = random.randrange(len(text) + 1)
        text = text[:at] + random.choice(PIECES) + text[at:]
    return text


def _varied(random: Random, text: bytes) -> bytes:
    """Give one key another value, or leave it out."""
    lines = text.splitlines()
    at = random.choice([number for number, line in enumerate(lines) if b" = " in line])
    key = lines[at].partition(b" = ")[0]
    lines[at] = b"" if random.random() < 0.2 else key + b" = " + random.choice(VALUES)
    return b"\n".join(lines)


def taken(text: bytes) -> bool:
    """Read a file, check it and put it into an event and back; False when it is refused.

    Rules are not compiled: that takes seconds, and happens in a child with limits.
    """
    with tempfile.NamedTemporaryFile(suffix=".toml", dir=MEMORY if MEMORY.exists() else None) as file:
        file.write(text)
        file.flush()
        try:
            value = files.read(Path(file.name))
            for rule in value.rules if isinstance(value, config.RuleSet) else ():
                matcher.check_rule(rule)
            config.decode_config(files.applied(value, "fuzz"))
        except InputError:
            return False
    return True
