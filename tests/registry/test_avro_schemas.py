"""Which Avro schemas are read and which are refused, and that no payload of a schema that is read does harm."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.errors import InputError
from streams.ingest import avro_schemas
from streams.ingest.avro_schemas import AvroReader
from tests.registry.serving import LOG_LINE, avro


def record(name: str, *types: Any) -> dict[str, Any]:
    """Return a record with fields of some types."""
    return {"type": "record", "name": name, "fields": [{"name": f"f{n}", "type": each} for n, each in enumerate(types)]}


def array(items: Any) -> dict[str, Any]:
    """Return an array."""
    return {"type": "array", "items": items}


def nested(levels: int) -> Any:
    """Return arrays in arrays."""
    schema: Any = "int"
    for _ in range(levels):
        schema = array(schema)
    return schema


def doubling(times: int, leaf: Any) -> list[Any]:
    """Return records each of which holds the one before twice: few names, and many values."""
    return [record("r0", leaf), *(record(f"r{n}", f"r{n - 1}", f"r{n - 1}") for n in range(1, times))]


def reader(schema: Any, *references: Any) -> AvroReader:
    """Return a reader of a schema."""
    return AvroReader.of(json.dumps(schema), [json.dumps(each) for each in references])


REFUSED: dict[str, tuple[Any, str]] = {
    "itself in a union": (record("N", "int", ["null", "N"]), "recursive"),
    "itself in an array": (record("N", array("N")), "recursive"),
    "itself over another": (record("A", record("B", ["null", "A"])), "recursive"),
    "array of null": (array("null"), "items without bytes"),
    "map of null": ({"type": "map", "values": "null"}, "items without bytes"),
    "array of empty records": (array(record("E")), "items without bytes"),
    "array of records of null": (array(record("E", "null", record("F"))), "items without bytes"),
    "array of fixed of nothing": (array({"type": "fixed", "name": "F", "size": 0}), "items without bytes"),
    "large fixed": ({"type": "fixed", "name": "F", "size": 1 << 30}, "fixed of more than 65536 bytes"),
    "negative fixed": ({"type": "fixed", "name": "F", "size": -1}, "fixed of more than 65536 bytes"),
    "deep": (nested(40), "nested too deeply"),
    "deep by names": (
        [record("r0", "int"), *(record(f"r{n}", f"r{n - 1}") for n in range(1, 60))],
        "nested too deeply",
    ),
    "a million nulls of nothing": (doubling(22, "null"), "too many values"),
    "a million records": (doubling(22, "int"), "too many values"),
    "wide": (record("W", *["int"] * 30_000), "256 KB"),
    "many types": (["int"] * 25_000, "too many types"),
    "unknown name": (record("A", "Elsewhere"), "a type is not defined"),
    "defined twice": (record("A", record("B", "int"), record("B", "int")), "a type is defined twice"),
    "no fields": ({"type": "record", "name": "A"}, "not an Avro schema"),
    "field without type": ({"type": "record", "name": "A", "fields": [{"name": "a"}]}, "not an Avro schema"),
    "two symbols of a name": ({"type": "enum", "name": "A", "symbols": ["A", "A"]}, "not valid"),
    "no name": ({"type": "enum", "symbols": ["A"]}, "a type without a name"),
    "no symbols": ({"type": "enum", "name": "A", "symbols": []}, "an enum without symbols"),
    "a number": (7, "not an Avro schema"),
    "nothing": (None, "not an Avro schema"),
    "an empty union": ([], "not an Avro schema"),
    "a union in a union": ([["int"], "null"], "not an Avro schema"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_do_harm_is_refused(name: str) -> None:
    """A schema that could end the process, fill the memory or means nothing is refused with the reason."""
    schema, reason = REFUSED[name]
    with pytest.raises(InputError, match=reason):
        reader(schema)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"type":' * 100_000, "\x00", "recursive", '"\ud800"'])
def test_what_is_no_schema_is_refused(text: str) -> None:
    """Text that is no JSON, or too deep to be read, is refused."""
    with pytest.raises(InputError):
        AvroReader.of(text.encode("utf-8", "replace").decode())


READ: dict[str, tuple[Any, Any, Any]] = {
    "text": ("string", "a line", "a line"),
    "nested": (record("A", record("B", "int", "string")), {"f0": {"f0": 7, "f1": "x"}}, {"f0": {"f0": 7, "f1": "x"}}),
    "logical time": ({"type": "long", "logicalType": "timestamp-micros"}, 1_700_000_000_000_000, 1_700_000_000_000_000),
    "bytes": (record("A", "bytes"), {"f0": b"text \xff"}, {"f0": "text \N{REPLACEMENT CHARACTER}"}),
    "fixed": (array({"type": "fixed", "name": "F", "size": 2}), [b"\x01\xff"], ["01ff"]),
    "enum": ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "B"),
    "union": (record("A", ["null", "string", "long"]), {"f0": 5}, {"f0": 5}),
    "map": ({"type": "map", "values": "double"}, {"a": 0.5}, {"a": 0.5}),
    "empty record in a record": (record("A", record("B"), "int"), {"f0": {}, "f1": 1}, {"f0": {}, "f1": 1}),
    "a name twice": (
        record("A", {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "E"),
        {"f0": "A", "f1": "B"},
        {"f0": "A", "f1": "B"},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_values_become_what_json_has(name: str) -> None:
    """Records, unions, enums, times and bytes are read as objects, text and numbers."""
    schema, value, expected = READ[name]
    assert reader(schema).read(avro(schema, value)) == expected


def test_names_are_resolved_in_their_name_space() -> None:
    """A short name is looked up where its type stands, and in no name space after that."""
    place = {**record("Place", "string"), "namespace": "a.b"}
    schema = {**record("Line", "Place", ["null", "a.b.Place"]), "namespace": "a.b"}
    value = {"f0": {"f0": "eu"}, "f1": {"f0": "us"}}
    assert reader(schema, place).read(avro(schema, value, (place,))) == value


def test_a_payload_is_read_to_its_end() -> None:
    """Bytes behind a value, and a value that lacks some, are no values of the schema."""
    payload = avro(LOG_LINE, {"timestamp": 1, "service": "s", "message": "m", "level": "INFO", "host": None})
    line = reader(LOG_LINE)
    assert line.read(payload)["message"] == "m"
    with pytest.raises(InputError, match="bytes after the payload"):
        line.read(payload + b"\x00")
    for end in range(len(payload)):
        with pytest.raises(InputError, match="payload"):
            line.read(payload[:end])


def test_items_are_counted_while_they_are_read() -> None:
    """A payload of many small items ends with a reason, before it has become a hundred times as large."""
    many = b"\xfe\xff\xff\xff\x0f" + b"\x00" * 8_000_000
    for items in ("int", "string", record("A", "int"), ["null", record("B", *["null"] * 100)], array("int")):
        with pytest.raises(InputError, match="too many values"):
            reader(array(items)).read(many)


def test_values_without_bytes_are_counted_too() -> None:
    """A byte that stands for a hundred nulls counts as a hundred values."""
    schema = array(["null", record("B", *["null"] * 100)])
    assert len(reader(schema).read(b"\x14" + b"\x02" * 10 + b"\x00")) == 10
    with pytest.raises(InputError, match="too many values"):
        reader(schema).read(b"\xa0\x1f" + b"\x02" * 2000 + b"\x00")


def test_a_large_payload_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit for the payload of one record."""
    monkeypatch.setattr(avro_schemas, "PAYLOAD_BYTES_MAX", 3 << 20)
    with pytest.raises(InputError, match="more than 3 MB"):
        reader("bytes").read(b"\x00" * (3 << 20) + b"\x00")


NAMES = st.sampled_from(["A", "B", "C", "a.B", ""])
TYPES = st.recursive(
    st.sampled_from(["null", "boolean", "int", "long", "float", "double", "string", "bytes", "A", "B", "a.B", "odd"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"type": st.just("map"), "values": inner}),
        st.fixed_dictionaries({"type": st.just("fixed"), "name": NAMES, "size": st.integers(-1, 70_000)}),
        st.fixed_dictionaries({"type": st.just("enum"), "name": NAMES, "symbols": st.lists(NAMES, max_size=3)}),
        st.builds(lambda name, fields: record(name, *fields), NAMES, st.lists(inner, max_size=4)),
        st.fixed_dictionaries({"type": inner}),
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(TYPES, st.binary(max_size=200))
def test_any_schema_and_any_payload_give_a_value_or_a_reason(schema: Any, payload: bytes) -> None:
    """Whatever is registered and whatever is sent, the answer is JSON's or an ``InputError``."""
    with contextlib.suppress(InputError):
        json.dumps(reader(schema).read(payload))


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300))
def test_any_payload_of_a_wide_schema_gives_a_value_or_a_reason(payload: bytes) -> None:
    """Random bytes under a schema of every type never do more than end with a reason."""
    everything = record(
        "All", "long", "string", ["null", "bytes", array(record("In", "int", array("string")))], "double", "boolean",
        {"type": "map", "values": array(["int", "string"])}, {"type": "enum", "name": "E", "symbols": ["X"]},
    )  # fmt: skip
    with contextlib.suppress(InputError):
        json.dumps(reader(everything).read(payload))
