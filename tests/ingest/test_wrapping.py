from __future__ import annotations

import gzip
import tracemalloc

import cramjam
import msgspec
import pytest

from streams.ingest.formats import reasons
from tests.ingest.given import cut_values, json, only
from tests.ingest.otlp import as_proto

REFUSED = b"connect() failed (111: Connection refused)"
LINE = json(ts="2024-02-01T10:00:00.250Z", service="web", message=REFUSED.decode())

SAID = {
    "gzip around JSON": (gzip.compress(LINE), "web"),
    "gzip in two members": (gzip.compress(LINE[:20]) + gzip.compress(LINE[20:]), "web"),
    "gzip with padding": (gzip.compress(LINE) + bytes(16), "web"),
    "gzip around OTLP": (gzip.compress(as_proto(({"service.name": "cart"}, [{"body": REFUSED.decode()}]))), "cart"),
    "gzip around a byte order mark": (gzip.compress(b"\xef\xbb\xbf" + LINE), "web"),
    "zstd around JSON": (bytes(cramjam.zstd.compress(LINE)), "web"),
    "a byte order mark before JSON": (b"\xef\xbb\xbf" + LINE, "web"),
    "a byte order mark before text": (b"\xef\xbb\xbfFeb  1 10:00:00 h1 nginx: " + REFUSED, "nginx"),
    "UTF-16, little end first": (b"\xff\xfe" + LINE.decode().encode("utf-16-le"), "web"),
    "UTF-16, big end first": (b"\xfe\xff" + LINE.decode().encode("utf-16-be"), "web"),
    "UTF-16 with a byte too many": (b"\xff\xfe" + LINE.decode().encode("utf-16-le") + b"\n", "web"),
    "a JSON string around text": (msgspec.json.encode(f"Feb  1 10:00:00 h1 nginx: {REFUSED.decode()}"), "nginx"),
    "a JSON string around JSON": (msgspec.json.encode(LINE.decode()), "web"),
    "blanks before JSON": (b"\n \t" + LINE, "web"),
    "blanks before a list": (b" [" + LINE + b"]", "web"),
    "text in quotes": (b'"shop" said: ' + REFUSED, "logs"),
}


@pytest.mark.parametrize("name", SAID)
def test_unwrapped(name: str) -> None:
    """What a value wraps is read as if it had come by itself."""
    value, service = SAID[name]
    (found,) = only(cut_values(value)).detections
    assert (found.pattern, found.service) == ("connection_refused", service)


def compressed_again(times: int) -> bytes:
    """Return a line compressed again and again."""
    value = LINE
    for _ in range(times):
        value = gzip.compress(value)
    return value


REFUSALS = {
    "gzip cut short": (gzip.compress(LINE)[:-9], "compressed: damaged gzip"),
    "gzip with a wrong sum": (gzip.compress(LINE)[:-8] + bytes(8), "compressed: damaged gzip"),
    "gzip with something behind": (gzip.compress(LINE) + b"x", "compressed: damaged gzip"),
    "gzip of members without end": (gzip.compress(b"") * 1000, "compressed: damaged gzip"),
    "gzip of nothing": (gzip.compress(b""), "empty"),
    "gzip of blanks": (gzip.compress(b" \n"), "empty"),
    "a bomb of gzip": (gzip.compress(bytes(17 * 1024 * 1024)), "compressed: more than 16 MB when decompressed"),
    "a bomb of zstd": (bytes(cramjam.zstd.compress(bytes(17 * 1024 * 1024))), reasons.ZSTD),
    "zstd cut short": (bytes(cramjam.zstd.compress(LINE))[:-3], reasons.ZSTD),
    "compressed five times": (compressed_again(5), "compressed: wrapped more than four times"),
    "a byte order mark alone": (b"\xef\xbb\xbf", "empty"),
    "gzip around what is no text": (gzip.compress(bytes(range(1, 32)) * 9), "binary"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused(name: str) -> None:
    """What can't be opened is rejected with a reason."""
    value, reason = REFUSALS[name]
    result = cut_values(value)
    assert [found for _, found in result.dead] == [reason]
    assert result.lines == 0


def test_bombs_take_bounded_memory() -> None:
    """A megabyte that unfolds into a gigabyte never takes more than a few times 16 MB."""
    bomb = gzip.compress(bytes(1 << 30), 1)
    cut_values(b"warm")
    tracemalloc.start()
    try:
        cut_values(bomb)
        assert tracemalloc.get_traced_memory()[1] < 80 << 20
    finally:
        tracemalloc.stop()


def test_reasons_have_remedies() -> None:
    """Every reason that is given here belongs to a family, of which is told what it means and what to do."""
    given = {value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}
    assert {reasons.family(reason) for reason in given} <= set(reasons.FAMILIES)
    assert all(row.means.endswith(".") and row.remedy.endswith(".") for row in reasons.FAMILIES.values())
    assert "report it" in reasons.remedy("RecursionError")
    assert "LOGMEND_SCHEMA_REGISTRY" in reasons.remedy("confluent avro: no registry")
