"""OTLP requests in protobuf's wire format, written by hand from opentelemetry-proto 1.x (logs.proto, metrics.proto)."""

from __future__ import annotations

import struct
from random import Random

from tests.fuzz.words import a_number, a_stamp_ns, a_text, a_word
from tests.ingest.given import APPEND_MS


def varint(number: int) -> bytes:
    """Encode an unsigned integer; a negative one as two's complement of 64 bits."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def integer(field: int, number: int) -> bytes:
    """Encode a varint field."""
    return varint(field << 3) + varint(number)


def fixed64(field: int, number: int) -> bytes:
    """Encode a field of eight bytes."""
    return varint(field << 3 | 1) + struct.pack("<Q", number & 0xFFFF_FFFF_FFFF_FFFF)


def double(field: int, number: float) -> bytes:
    """Encode a double field."""
    return varint(field << 3 | 1) + struct.pack("<d", number)


def data(field: int, body: bytes) -> bytes:
    """Encode a field with a length: text, bytes or a message."""
    return varint(field << 3 | 2) + varint(len(body)) + body


def any_value(random: Random, depth: int = 0) -> bytes:
    """Encode an ``AnyValue``, sometimes a nested one."""
    several = range(random.randrange(4))
    match random.randrange(8 if depth < 4 else 5):
        case 0:
            value = integer(2, random.randrange(2))
        case 1:
            value = integer(3, int(a_number(random)))
        case 2:
            value = double(4, random.uniform(-1e300, 1e300))
        case 3:
            value = data(7, random.randbytes(random.randrange(20)))
        case 5:
            value = data(5, b"".join(data(1, any_value(random, depth + 1)) for _ in several))
        case 6:
            value = data(6, b"".join(data(1, pair(random, depth + 1)) for _ in several))
        case _:
            value = data(1, a_text(random))
    return value


def pair(random: Random, depth: int = 0) -> bytes:
    """Encode a ``KeyValue``."""
    key = random.choice([b"service.name", b"host.name", b"log.file.path", b"exception.stacktrace", a_word(random)])
    return data(1, key) + data(2, any_value(random, depth))


def _resource(random: Random) -> bytes:
    named = data(1, b"service.name") + data(2, data(1, a_word(random)))
    return data(1, data(1, named) + b"".join(data(1, pair(random)) for _ in range(random.randrange(3))))


def log_request(random: Random) -> bytes:
    """Encode an ``ExportLogsServiceRequest``."""
    return b"".join(
        data(1, _resource(random) + b"".join(data(2, _scope_logs(random)) for _ in range(random.randrange(1, 3))))
        for _ in range(random.randrange(1, 3))
    )


def many_logs(body: bytes, count: int) -> bytes:
    """Encode a request of ``count`` lines that say the same."""
    record = data(2, fixed64(1, APPEND_MS * 1_000_000) + integer(2, 17) + data(5, data(1, body)))
    return data(1, data(2, record * count))


def _scope_logs(random: Random) -> bytes:
    return b"".join(
        data(
            2,
            fixed64(1, a_stamp_ns(random))
            + integer(2, random.randrange(-1, 30))
            + data(3, random.choice([b"INFO", b"ERROR", b"", a_word(random)]))
            + data(5, any_value(random))
            + b"".join(data(6, pair(random)) for _ in range(random.randrange(3)))
            + data(9, random.randbytes(16)),
        )
        for _ in range(random.randrange(1, 6))
    )


def metric_request(random: Random) -> bytes:
    """Encode an ``ExportMetricsServiceRequest`` of gauges and sums."""
    return data(1, _resource(random) + data(2, b"".join(data(2, _metric(random)) for _ in range(random.randrange(5)))))


def _metric(random: Random) -> bytes:
    points = b"".join(
        data(
            1,
            fixed64(3, a_stamp_ns(random))
            + (double(4, random.uniform(-1e9, 1e9)) if random.random() < 0.5 else fixed64(6, random.getrandbits(64)))
            + data(7, pair(random)),
        )
        for _ in range(random.randrange(1, 4))
    )
    name = random.choice([b"system.cpu.utilization", b"system.memory.usage", b"http.server.duration", a_word(random)])
    return data(1, name) + data(3, random.choice([b"1", b"By", b"ms"])) + data(random.choice([5, 7, 9, 11]), points)
