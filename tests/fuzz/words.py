"""The small parts that records are made of: words, numbers, stamps, texts, many of them on purpose wrong."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Final

from streams.catalogue.patterns import patterns
from tests.ingest.given import APPEND_MS

NAMES: Final = (b"api", b"web-7c9d8f5b6d-x2x1z", b"kernel", b"sshd", b"payment_service", b"org.acme.Shop", b"postgres")
NUMBERS: Final = (
    0, 1, -1, 127, 255, 65_536, 2**31, 2**32, -(2**31), 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 10**30,
    1e308, -0.0,
    5e-324,
)  # fmt: skip
STAMPS: Final = (
    b"2024-03-01T12:00:00.123Z",
    b"2024-02-30T25:61:61.9999999999999+99:99",
    b"2024-03-01 12:00:00,250",
    b"0000-00-00T00:00:00Z",
    b"9999-12-31T23:59:60+14:00",
    b"Feb 29 23:59:59",
    b"Feb 31 10:00:00",
    b"01/Mar/2024:12:00:00 +0000",
    b"Fri Mar  1 12:00:00 2024",
    b"24/03/01 12:00:00",
    b"1709294400.123456789",
    b"1709294400000",
    b"[1709294400]",
    b"0001-01-01T00:00:00-23:59",
)
SECRETS: Final = (
    b"password=hunter2",
    b"Authorization: Bearer abcdefghijklmnop",
    b"postgres://u:p4ss@db/x",
    b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig",
    b"AKIAIOSFODNN7EXAMPLE",
    b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    b"4111 1111 1111 1111",
    b"Set-Cookie: sid=abc; HttpOnly",
)
JUNK: Final = (
    b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xf0\x9f\x92\xa5", b"\x1b[31m", b"\r", b"\n", b"\n    at a.b(C.java:1)",
    b"\t", b"\\u0000",
    b"\xe2\x80\xa8", b"\xc2\x85", b"%s%n", b"{{", b"]]>", b"'", b'"', b"\x7f", b"\x0b",
)  # fmt: skip


@cache
def examples() -> tuple[bytes, ...]:
    """Return the examples of the shipped rules."""
    return tuple(text.encode() for rule in patterns().rules for text in (*rule.positive, *rule.negative))


def a_word(random: Random) -> bytes:
    """Return a name, sometimes an odd one."""
    if random.random() < 0.8:
        return random.choice(NAMES)
    return random.choice([b"", b"\xff\x00", b"x" * random.randrange(300), b"-", b"a/b c", b"\xc3\xa9" * 5])


def a_number(random: Random) -> float:
    """Return a number, often at the edge of some width."""
    return random.choice(NUMBERS) if random.random() < 0.5 else random.randrange(10**9)


def a_stamp(random: Random) -> bytes:
    """Return a time as text, possible or not."""
    return random.choice(STAMPS)


def a_stamp_ns(random: Random) -> int:
    """Return a time in nanoseconds, mostly near the append time."""
    near = (APPEND_MS + random.randrange(-(10**6), 10**6)) * 1_000_000
    return random.choice([near, near, near, 0, 1, 2**64 - 1, near // 10**6])


def a_text(random: Random) -> bytes:
    """Return what a line says: an example of a rule, a secret, junk, or several of them."""
    parts = []
    for _ in range(random.randrange(1, 4)):
        pool = random.choice([examples(), examples(), SECRETS, JUNK, STAMPS, NAMES])
        parts.append(random.choice(pool))
    return b" ".join(parts)
