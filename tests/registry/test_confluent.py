"""Records of Confluent's serializers become lines once their schema is known, and dead letters with a reason before."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.events import Slice
from streams.ingest import matcher
from streams.ingest.confluent import NO_REGISTRY, Book
from streams.ingest.formats.reasons import remedy
from streams.ingest.slicer import Slicer
from streams.ports import Registered, SchemaId
from streams.runtime.registry import NO_REGISTRY_THERE, REFERENCES, REFUSES, TOO_LARGE, UNKNOWN, UNREACHABLE
from streams.topics import Topics
from tests.ingest.given import APPEND_MS, Given, cut, detected, only, tallied
from tests.registry.serving import LOG_LINE, avro, framed, log_line

GUID = "89791762-2336-4186-9674-299b90a802e2"
LINES = Registered("AVRO", json.dumps(LOG_LINE))


def read(*records: Given, **told: Registered | str) -> Slice:
    """Return the slice of records after a registry's answers; ``id_7=`` answers for id 7."""
    answers: Mapping[SchemaId, Registered | str] = {int(name.removeprefix("id_")): said for name, said in told.items()}
    return read_with(answers, *records)


def read_with(answers: Mapping[SchemaId, Registered | str], *records: Given) -> Slice:
    """Return the slice of records after a registry's answers."""
    book = Book()
    book.learn(answers)
    return only(cut(*records, by=Slicer(matcher.shipped(), Topics(), book=book)))


def reasons(piece: Slice) -> list[str]:
    """Return why records were rejected."""
    return [reject.reason for reject in piece.rejects]


def test_an_avro_record_is_a_line_with_service_time_level_and_host() -> None:
    """What the schema names is read as it is in JSON."""
    line = log_line("connection refused", at_ms=APPEND_MS - 5_000, level="ERROR")
    piece = read(Given(framed(7, line)), id_7=LINES)
    assert reasons(piece) == []
    (found,) = piece.detections
    assert (found.service, found.host, found.pattern) == ("shop", "web-1", "connection_refused")
    assert (found.severity, found.at_first_ms) == ("error", APPEND_MS - 5_000)


@pytest.mark.parametrize(("unit", "logical"), [(1, "timestamp-millis"), (1000, "timestamp-micros")])
def test_logical_times_are_the_lines_times(unit: int, logical: str) -> None:
    """Milliseconds and microseconds are told apart."""
    schema = {
        "type": "record",
        "name": "L",
        "fields": [
            {"name": "ts", "type": {"type": "long", "logicalType": logical}},
            {"name": "message", "type": "string"},
        ],
    }
    payload = avro(json.loads(json.dumps(schema)), {"ts": (APPEND_MS - 60_000) * unit, "message": "fine"})
    piece = read(Given(framed(7, payload)), id_7=Registered("AVRO", json.dumps(schema)))
    assert [key[0] for key in tallied([piece])] == [APPEND_MS - 60_000]


def test_a_string_is_text() -> None:
    """A schema of a string gives lines as if they had been sent bare."""
    text = "Mar  1 12:00:00 web-1 sshd[7]: fine\nMar  1 12:00:01 web-1 sshd[7]: fine"
    piece = read(Given(framed(7, avro("string", text))), id_7=Registered("AVRO", '"string"'))
    assert sum(tallied([piece]).values()) == 2
    assert {key[1] for key in tallied([piece])} == {"sshd"}


def test_an_array_of_records_is_a_line_each() -> None:
    """One record of Kafka may hold many lines in Avro, too."""
    schema = {"type": "array", "items": LOG_LINE}
    lines = [
        {"timestamp": APPEND_MS, "service": f"s{n}", "message": "fine", "level": "INFO", "host": None} for n in range(3)
    ]
    piece = read(Given(framed(7, avro(schema, lines))), id_7=Registered("AVRO", json.dumps(schema)))
    assert {key[1] for key in tallied([piece])} == {"s0", "s1", "s2"}


@pytest.mark.parametrize("header", [b"\x00\x00\x00\x00\x07", b"\x00\x00\x00\x07"])
def test_an_id_in_a_header_leaves_the_value_bare(header: bytes) -> None:
    """The whole value is the payload when a header has the id, with or without the magic byte."""
    line = log_line("fine", at_ms=APPEND_MS)
    piece = read(Given(line, headers=(("__value_schema_id", header),)), id_7=LINES)
    assert {key[1] for key in tallied([piece])} == {"shop"}


@pytest.mark.parametrize("in_header", [True, False])
def test_a_guid_names_a_schema(in_header: bool) -> None:  # noqa: FBT001 - pytest passes it
    """0x01 and 16 bytes, in a header or before the payload, are the newer form of an id."""
    said, line = b"\x01" + uuid.UUID(GUID).bytes, log_line("fine", at_ms=APPEND_MS)
    record = Given(line, headers=(("__value_schema_id", said),)) if in_header else Given(said + line)
    assert {key[1] for key in tallied([read_with({GUID: LINES}, record)])} == {"shop"}


def test_a_header_that_is_no_id_is_none_of_ours() -> None:
    """Text with such a header is text."""
    record = Given(b"sshd: fine", headers=(("__value_schema_id", b"seven"), ("__value_schema_id", b"")))
    assert read(record).lines == 1


@pytest.mark.parametrize("known", [True, False])
def test_json_behind_an_id_is_json(known: bool) -> None:  # noqa: FBT001 - pytest passes it
    """Confluent's JSON is read with and without a registry."""
    told = {"id_7": Registered("JSON", "{}")} if known else {}
    piece = read(Given(framed(7, b'{"service":"shop","message":"connection refused"}')), **told)
    assert [d.service for d in piece.detections] == ["shop"]


REJECTED: dict[str, tuple[bytes, Registered | str | None, str]] = {
    "no registry": (log_line("x", at_ms=1), None, NO_REGISTRY),
    "unreachable": (log_line("x", at_ms=1), "registry unreachable", "confluent avro: registry unreachable"),
    "unknown": (log_line("x\x01", at_ms=1), "unknown schema", "confluent avro: unknown schema"),
    "protobuf": (b"\x00\x0a\x01x", Registered("PROTOBUF", "syntax"), "confluent protobuf is not read"),
    "another kind": (b"\x00\x0a\x01x", Registered("THRIFT", ""), "confluent thrift is not read"),
    "not JSON": (b"not json", Registered("JSON", "{}"), "confluent json: no object and no text"),
    "refused": (
        b"\x00",
        Registered("AVRO", '{"type":"array","items":"null"}'),
        "confluent avro: schema refused: items",
    ),
    "another schema": (b"\x02", LINES, "confluent avro: payload ends too soon"),
    "a number": (b"\x02", Registered("AVRO", '"int"'), "confluent avro: no record and no text"),
    "too long": (log_line("x", at_ms=1) + b"x", LINES, "confluent avro: bytes after the payload"),
    "nothing said": (b"\x00", Registered("AVRO", '"string"'), "empty"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_can_not_be_read_is_rejected_with_the_reason(name: str) -> None:
    """No record of this format is lost or taken for something else."""
    payload, told, reason = REJECTED[name]
    piece = read(Given(framed(7, payload)), **({} if told is None else {"id_7": told}))
    assert piece.lines == 0
    assert [one.startswith(reason) for one in reasons(piece)] == [True]


@pytest.mark.parametrize("name", REJECTED)
def test_every_reason_has_a_remedy(name: str) -> None:
    """Whoever finds one of these in the dead letters is told what to do, except about a kind that nobody has."""
    reason = REJECTED[name][2]
    assert ("report it" in remedy(reason)) == ("thrift" in reason)


@pytest.mark.parametrize("said", [UNREACHABLE, REFUSES, NO_REGISTRY_THERE, UNKNOWN, TOO_LARGE, REFERENCES])
def test_every_answer_of_a_registry_has_a_remedy_of_its_own(said: str) -> None:
    """The remedy is not the one for a payload that does not fit."""
    assert remedy(f"confluent avro: {said}") != remedy("confluent avro: payload ends too soon")


def test_a_reason_holds_until_the_next_answer() -> None:
    """A schema that was out of reach is asked for again with the next batch, and then known for ever."""
    book, record = Book(), Given(framed(7, log_line("fine", at_ms=APPEND_MS)))
    slicer = Slicer(matcher.shipped(), Topics(), book=book)
    assert book.unknown([record]) == {7}
    book.learn({7: "registry unreachable"})
    assert reasons(only(cut(record, by=slicer))) == ["confluent avro: registry unreachable"]
    assert book.unknown([record]) == {7}
    book.learn({7: LINES})
    assert book.unknown([record]) == set()
    book.learn({8: "unknown schema"})
    assert reasons(only(cut(record, by=slicer))) == []


def test_only_what_may_be_framed_is_asked_for() -> None:
    """Lines of JSON, text, and text that begins with a NUL name no schema, whatever their headers."""
    headers = (("service", b"shop"),)
    plain = (b'{"a":1}', b"text", b"\x00text of a line", b"\x00\x00\x00\x00\x00text", b"\x01", b"\x00", b"", None)
    assert Book().unknown([Given(value, headers=headers) for value in plain]) == set()
    assert Book().unknown([Given(b'{"a":1}', headers=(("__value_schema_id", b"\x00\x00\x00\x07"),))]) == set()


def test_a_payload_that_begins_like_json_is_asked_for() -> None:
    """With its id in a header a value of Avro may begin with a brace: a long of -62."""
    schema = {
        "type": "record",
        "name": "L",
        "fields": [{"name": "change", "type": "long"}, {"name": "message", "type": "string"}],
    }
    payload = avro(schema, {"change": -62, "message": "connection refused"})
    record = Given(payload, headers=(("__value_schema_id", b"\x00\x00\x00\x00\x07"),))
    assert payload.startswith(b"{")
    assert Book().unknown([record]) == {7}
    assert [one.pattern for one in read(record, id_7=Registered("AVRO", json.dumps(schema))).detections] == [
        "connection_refused"
    ]


def test_text_behind_a_nul_is_text_where_no_schema_has_its_number() -> None:
    """What only looks like a frame is read as text when nothing in it is binary and the registry knows no such id."""
    looks_framed = Given(b"\x00\x00\x00 text of a line")
    for told in ({}, {"id_8308": "unknown schema"}):
        assert read(looks_framed, **told).lines == 1


def test_the_book_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """It forgets what it learned first, and asks again."""
    monkeypatch.setattr("streams.ingest.confluent.SCHEMAS_MAX", 3)
    book = Book()
    for id_ in range(1, 6):
        book.learn({id_: LINES})
    payload = log_line("fine", at_ms=APPEND_MS)
    assert book.unknown([Given(framed(id_, payload)) for id_ in range(1, 6)]) == {1, 2}


def test_several_formats_may_lie_side_by_side() -> None:
    """Framed records, JSON and text in one batch are each what they are."""
    line = log_line("connection refused", at_ms=APPEND_MS)
    values = [framed(7, line), b'{"service":"api","message":"connection refused"}', b"connection refused"] * 5
    piece = read(*(Given(value, offset=offset) for offset, value in enumerate(values)), id_7=LINES)
    assert piece.lines == 15
    assert {key[0]: count for key, count in detected([piece]).items()} == {"shop": 5, "api": 5, "logs": 5}


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_behind_an_id_never_stop_anything(payload: bytes, in_header: bool) -> None:  # noqa: FBT001
    """Each record is lines, or a reject with a reason."""
    headers = (("__value_schema_id", b"\x00\x00\x00\x00\x07"),) if in_header else ()
    record = Given(payload if in_header else framed(7, payload), headers=headers)
    piece: Any = read(record, id_7=LINES)
    assert (piece.lines > 0) != bool(piece.rejects)
