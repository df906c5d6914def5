"""Records that mean harm: mutations of good ones, nesting, width, numbers, and lines made to be slow to read."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from tests.fuzz import protobuf
from tests.fuzz.shapes import KEYS, json_known, otlp_protobuf
from tests.fuzz.words import JUNK, SECRETS, STAMPS, a_text, examples

TEXT_BYTES_MAX: Final = 1 << 18
ESCAPED: Final = str.maketrans(
    {"\\": "\\\\", '"': '\\"'} | {chr(number): f"\\u{number:04x}" for number in range(ord(" "))}
)
"""What may not stand in a text of JSON as it is."""
UNITS: Final = (
    b"a", b"1", b" ", b"\t", b".", b"-", b"_", b"/", b"\\", b"=", b":", b"@", b"<", b"(", b"[", b"{", b'"', b"'",
    b"%", b"*", b"\xff",
    b"4", b"4 ", b"4-", b"0x", b"ab1", b"a.", b"a-1", b"1.", b"1:", b"/a", b"a=", b"a@", b"key=", b"key:", b"token ",
    b"pass=", b"pwd:'",
    b"://", b"http://a:", b"https://u:p@", b"-----BEGIN ", b"-----BEGIN RSA PRIVATE KEY-----", b"eyJ",
    b"eyJabcdefgh.", b"sk-", b"AKIA",
    b"Bearer ", b"basic ", b"Cookie: a=b;", b"Set-Cookie:", b"password", b'PASSWORD="', b"secret is ", b"error ",
    b"failed ", b"0 errors ",
    b"2024-", b"12:00:", b"Mar ", b"Mar  1 12:00:00 ", b"\n", b"\n\n", b"\n\tat ", b"\nCaused by: ", b"a\n",
    b'{"a":', b"<13>", b"1 - - - ",
    b"\xc3\xa9", b"\xf0\x9f\x92\xa5", b"\x00", b"x=1,", b"AbCdEf0123456789", b"deadbeef", b"127.0.0.1:80 ", b"::1 ",
    b"...",
)  # fmt: skip


def mutated(random: Random, good: Callable[[Random], bytes]) -> bytes:
    """Damage a good record once or several times."""
    value = bytearray(good(random))
    for _ in range(random.randrange(1, 6)):
        if not value:
            break
        at = random.randrange(len(value))
        match random.randrange(7):
            case 0:
                value[at] ^= 1 << random.randrange(8)
            case 1:
                del value[at:]
            case 2:
                del value[at : at + random.randrange(1, 20)]
            case 3:
                value[at:at] = random.choice((*JUNK, *SECRETS, *STAMPS))
            case 4:
                value[at:at] = value[at : at + random.randrange(1, 60)] * random.randrange(1, 8)
            case 5:
                value[at : at + random.randrange(1, 8)] = random.randbytes(random.randrange(1, 8))
            case _:
                other = good(random)
                value[at:] = other[random.randrange(len(other) + 1) :]
    return bytes(value)


def noise(random: Random) -> bytes:
    """Return random bytes, often behind a beginning that some format has."""
    begin = random.choice(
        [b"", b"", b"\x00\x00\x00\x00\x01", b"\x0a", b"{", b"[", b"\x1f\x8b", b"\xc3\x01", b"\x82", b"\xdf", b"<"]
    )
    return begin + random.randbytes(random.randrange(400))


def deep(random: Random) -> bytes:
    """Return nesting far beyond what anybody means."""
    depth = random.choice([40, 200, 1000, 20_000])
    return random.choice(DEEP)(depth)


def _nested_messages(depth: int) -> bytes:
    """Return protobuf messages in field 1 of each other."""
    body = b""
    for _ in range(depth):
        body = protobuf.data(1, body)
    return body


DEEP: Final[tuple[Callable[[int], bytes], ...]] = (
    lambda depth: b'{"a":' * depth + b"1" + b"}" * depth,
    lambda depth: b"[" * depth + b"]" * depth,
    lambda depth: b'{"message":' + b"[" * depth,
    lambda depth: b"\x91" * depth + b"\xc0",
    lambda depth: b"\x81\xa1a" * depth + b"\xc0",
    lambda depth: _nested_messages(min(depth, 600)),
)


def wide(random: Random) -> bytes:
    """Return many keys, items, lines or fields."""
    count = random.choice([100, 100, 1000, 1000, 2000, 9000])
    key = random.choice(KEYS).encode()
    return random.choice(WIDE)(count, key)


WIDE: Final[tuple[Callable[[int, bytes], bytes], ...]] = (
    lambda count, _: b"{" + b",".join(b'"k%d":%d' % (number, number) for number in range(count * 5)) + b"}",
    lambda count, _: b"[" + b",".join([b"{}"] * count) + b"]",
    lambda count, _: b"[" + b",".join(b'{"message":"m%d","service":"s%d"}' % (n, n) for n in range(count)) + b"]",
    lambda count, _: b"\n".join(
        b"2024-03-01 12:%02d:%02d ERROR odd %x" % (n // 60 % 60, n % 60, n * 7919) for n in range(count)
    ),
    lambda count, _: protobuf.many_logs(b"failed to frob", count),
    lambda count, _: b"\xdd" + (count * 5).to_bytes(4, "big") + b"\x80" * count * 5,
    lambda count, _: b"\x0a\x00" * count * 5,
    lambda count, _: b"\xdd\xff\xff\xff\xff" + b"\xdf\xff\xff\xff\xff" * (count // 200),
    lambda count, key: b"{" + b",".join([b'"%s":"xxxxxxxxxx"' % key] * count) + b"}",
)


def numbers(random: Random) -> bytes:
    """Return numbers that no type holds."""
    digits = b"9" * random.choice([20, 400, 5000, 60_000])
    odd = (b"1e99999", b"-0", b"1." + b"0" * 5000 + b"1", b"NaN", b"Infinity", b"0x10", b"1e-99999", b"-" + b"9" * 25)
    number = random.choice([digits, *odd])
    key = random.choice(KEYS).encode()
    return random.choice([b'{"%s":%s,"message":"m"}', b'[{"%s":%s}]', b'{"message":"%s","ts":%s}']) % (key, number)


def long_text(random: Random) -> bytes:
    """Return a line, or many, of repeated pieces that expressions like to begin on."""
    size = random.choice([200, 2000, 9000, 9000, 40_000, TEXT_BYTES_MAX])
    units = [random.choice(UNITS) for _ in range(random.randrange(1, 4))]
    begin = random.choice([b"", a_text(random), random.choice(STAMPS) + b" ", random.choice(examples())])
    end = random.choice([b"", b"!", b"\n", a_text(random)])
    body = begin + b"".join(units) * (size // sum(map(len, units))) + end
    if random.random() < 0.3:
        text = body.decode("utf-8", "replace")
        return b'{"level":"error","service":"s","message":"' + text.translate(ESCAPED).encode() + b'"}'
    return body


def bodies(random: Random) -> bytes:
    """Return a good record with one of the texts above as its body."""
    good = random.choice([json_known, otlp_protobuf])(random)
    return good.replace(b"api", long_text(random)[:5000])


HOSTILE: Final = (noise, deep, wide, numbers, long_text, long_text, bodies)
