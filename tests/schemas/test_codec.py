"""Events become bytes that any Avro reader reads, and only such bytes become events."""

from __future__ import annotations

import contextlib
import io
import tracemalloc
import typing
from pathlib import Path
from typing import Any

import avro.io
import avro.schema
import msgspec
import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from streams import codec
from streams.core import beside, events
from streams.core.base import Event
from streams.core.chain import canonical
from streams.core.errors import InputError, InvariantError

GOLDEN = Path(__file__).parent / "golden"
INBOX = typing.get_args(events.InboxEvent)
FACTS = typing.get_args(events.Fact)
RECORDED: tuple[type[Event], ...] = (
    *FACTS,
    *INBOX,
    events.Decision,
    events.Command,
    beside.Evidence,
    beside.Heartbeat,
)
KINDS = {codec.schema_name(kind): kind for kind in RECORDED}
SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    bool: st.booleans(),
    bytes: st.binary(max_size=40),
}


def of(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for a type that occurs in a recorded struct."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if isinstance(kind, type) and issubclass(kind, Event):
        return st.builds(kind, **{field.name: of(field.type) for field in msgspec.structs.fields(kind)})
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return st.lists(of(arguments[0]), max_size=3).map(tuple)
    branches = [st.none() if branch is type(None) else of(branch) for branch in arguments]
    return st.one_of(*branches)


def sample(kind: Any, name: str = "") -> Any:
    """Return the one example value of a type that the golden bytes were made from."""
    values: dict[Any, Any] = {int: 1_763_700_000_000 + len(name), float: 0.625, str: f"{name} é", bool: True}
    if kind in values or kind is bytes:
        return values.get(kind, b'{"a":1}')
    if isinstance(kind, type) and issubclass(kind, Event):
        return kind(**{field.name: sample(field.type, field.name) for field in msgspec.structs.fields(kind)})
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return (sample(arguments[0], name), sample(arguments[0], f"{name}2"))
    return sample(arguments[0], name)


def without_later(value: Any, schema: Any) -> Any:
    """Return an example with the default in every field that a version of its schema lacks, however deep."""
    if not isinstance(value, Event) or not isinstance(schema, dict):
        return value
    known = {field["name"]: field for field in schema["fields"]}
    fields = msgspec.structs.fields(type(value))
    lacks = {field.name: field.default for field in fields if field.name not in known and not field.required}
    kept = {
        field.name: _within(getattr(value, field.name), known[field.name]) for field in fields if field.name in known
    }
    return msgspec.structs.replace(value, **lacks, **kept)


def _within(value: Any, field: Any) -> Any:
    kind = field["type"]
    if isinstance(value, tuple) and isinstance(kind, dict):
        return tuple(without_later(one, kind["items"]) for one in value)
    return without_later(value, kind) if isinstance(kind, dict) else value


def named(kind: type[Event]) -> str:
    """Return the name of a test's parameter."""
    return kind.__name__


@pytest.mark.parametrize("kind", RECORDED, ids=named)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_encoded_decodes_to_itself(kind: type[Event], data: st.DataObject) -> None:
    """Any event of any kind survives the way through its bytes."""
    event = data.draw(of(kind))
    assert codec.decode(codec.encode(event)) == event


@given(data=st.data())
def test_tallies_are_written_as_fastavro_writes_them(data: st.DataObject) -> None:
    """Any slice has the bytes that its whole schema gives, although its tallies are written by themselves."""
    piece = msgspec.structs.replace(data.draw(of(events.Slice)), messages=())
    out = io.BytesIO()
    schema = parse_schema(schemas.load("slice", schemas.latest("slice")))
    schemaless_writer(out, schema, msgspec.to_builtins(piece, builtin_types=(bytes,)))
    assert codec.encode(piece)[10:] == out.getvalue()


@pytest.mark.parametrize("release", schemas.released(), ids=lambda release: release.filename)
def test_bytes_are_those_that_were_committed(release: schemas.Release) -> None:
    """The bytes of a version never change: what was written years ago is read today; what it lacks is the default."""
    kind = KINDS[release.name]
    golden = bytes.fromhex((GOLDEN / f"{release.name}.v{release.version}.hex").read_text())
    assert codec.decode(golden) == without_later(sample(kind), schemas.load(release.name, release.version))
    assert schemas.latest(release.name) > release.version or codec.encode(sample(kind)) == golden


def test_a_decision_of_the_first_version_keeps_its_hash() -> None:
    """What was recorded without a later field is hashed without it, so an old chain goes on being one."""
    golden = codec.decode_decision(bytes.fromhex((GOLDEN / "decision.v1.hex").read_text()))
    hashed = msgspec.msgpack.decode(canonical(golden))
    assert tuple(hashed) == tuple(field["name"] for field in schemas.load("decision", 1)["fields"])
    told = msgspec.structs.replace(golden, figures=(events.Figure("score", 1.0),))
    assert "figures" in msgspec.msgpack.decode(canonical(told))


@pytest.mark.parametrize("release", schemas.released(), ids=lambda release: release.filename)
def test_another_implementation_reads_the_golden_bytes(release: schemas.Release) -> None:
    """Apache's own reader takes the committed bytes apart into the struct's first fields and leaves nothing over."""
    golden = bytes.fromhex((GOLDEN / f"{release.name}.v{release.version}.hex").read_text())
    schema = avro.schema.parse((Path(schemas.__path__[0]) / release.filename).read_text())
    body = io.BytesIO(golden[10:])
    record = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(body))
    assert golden[2:10] == bytes(schema.fingerprint("CRC-64-AVRO"))
    assert tuple(record) == KINDS[release.name].__struct_fields__[: len(record)]
    assert release.version < schemas.latest(release.name) or len(record) == len(KINDS[release.name].__struct_fields__)
    assert body.read() == b""


def test_an_older_version_is_read_as_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of a version that lacked a field are read with that field's default, and lose what is no longer known."""
    newest = schemas.load("heartbeat", 1)
    fields = [dict(field) for field in newest["fields"]]
    was = parse_schema({**newest, "fields": [{"name": "gone", "type": "long"}, *fields[:-1]]})
    fields[-1]["default"] = 7
    reader = codec._Reader(beside.Heartbeat, was, parse_schema({**newest, "fields": fields}))
    monkeypatch.setitem(codec._READERS, b"\xc3\x01" + b"\0" * 8, reader)
    beat = sample(beside.Heartbeat)
    body = io.BytesIO()
    schemaless_writer(body, was, {"gone": 1, **msgspec.to_builtins(beat)})
    found = codec.decode(b"\xc3\x01" + b"\0" * 8 + body.getvalue())
    assert found == msgspec.structs.replace(beat, at_ms=7)


@pytest.mark.parametrize("kind", RECORDED, ids=named)
def test_a_cut_event_is_refused(kind: type[Event]) -> None:
    """Every proper prefix of an event is an input error."""
    whole = codec.encode(sample(kind))
    for length in range(len(whole)):
        with pytest.raises(InputError):
            codec.decode(whole[:length])


def test_bytes_after_an_event_are_refused() -> None:
    """An event with something behind it is an input error: two readers could take it for two things."""
    with pytest.raises(InputError, match="1 bytes follow"):
        codec.decode(codec.encode(events.Ticked(owner="a")) + b"\0")


@settings(max_examples=400, deadline=None)
@given(kind=st.sampled_from(RECORDED), body=st.binary(max_size=200))
def test_any_body_is_an_event_or_an_input_error(kind: type[Event], body: bytes) -> None:
    """Random bytes under a released fingerprint never raise anything but an input error."""
    head = codec.encode(sample(kind))[:10]
    with contextlib.suppress(InputError):
        assert isinstance(codec.decode(head + body), kind)


@settings(max_examples=400, deadline=None)
@given(kind=st.sampled_from(RECORDED), data=st.data())
def test_a_changed_byte_is_an_event_or_an_input_error(kind: type[Event], data: st.DataObject) -> None:
    """One changed byte never raises anything but an input error."""
    whole = bytearray(codec.encode(sample(kind)))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        assert isinstance(codec.decode(bytes(whole)), Event)


def test_an_unknown_fingerprint_is_refused() -> None:
    """A schema that was never released is an input error that names its fingerprint."""
    with pytest.raises(InputError, match="unknown schema fingerprint 0102030405060708"):
        codec.decode(bytes.fromhex("c3010102030405060708") + b"\0")


def test_an_oversize_event_is_refused_before_it_is_read() -> None:
    """Nothing is made of an event beyond the limit, however it begins."""
    huge = codec.encode(events.Ticked(owner="a")) + bytes(codec.EVENT_BYTES_MAX)
    tracemalloc.start()
    with pytest.raises(InputError, match="at most"):
        codec.decode(huge)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


def zigzag(number: int) -> bytes:
    """Return Avro's variable-length form of a 64-bit integer."""
    left = ((number << 1) ^ (number >> 63)) & (2**64 - 1)
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


def decoded_or_refused(data: bytes) -> int:
    """Decode what may be an attack; return the bytes that were allocated at the worst moment."""
    tracemalloc.start()
    try:
        codec.decode(data)
    except InputError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


GIANT = [2**31, 2**62, 2**63 - 1, -(2**63), -(2**31), -1]


@pytest.mark.parametrize("length", GIANT)
def test_a_giant_or_negative_length_is_refused(length: int) -> None:
    """A text that claims more bytes than are there, or fewer than none, is an input error and allocates nothing."""
    attack = codec.encode(events.Ticked(owner="a"))[:10] + zigzag(length) + b"abc"
    with pytest.raises(InputError):
        codec.decode(attack)
    assert decoded_or_refused(attack) < 100_000


@pytest.mark.parametrize("count", GIANT)
def test_a_giant_or_negative_count_costs_nothing(count: int) -> None:
    """An array that claims more items than there are bytes allocates nothing, whatever becomes of it."""
    slice_head = codec.encode(sample(events.Slice))[:10]
    nine_empty_fields = bytes(9)
    assert decoded_or_refused(slice_head + nine_empty_fields + zigzag(count) + b"\x02" + bytes(12)) < 1_000_000


def test_the_most_items_that_fit_stay_below_the_memory_budget() -> None:
    """The worst event of the largest size takes less than 100 MB while it is read."""
    items = (codec.EVENT_BYTES_MAX - 100) // 3
    body = bytes(9) + bytes(3) + zigzag(items) + bytes(3 * items) + bytes(6)
    worst = codec.encode(sample(events.Slice))[:10] + body
    event = codec.decode(worst)
    assert isinstance(event, events.Slice)
    assert len(event.rejects) == items
    assert decoded_or_refused(worst) < 100_000_000


def test_what_could_not_be_read_again_is_not_written() -> None:
    """Too large, beyond 64 bits, or not Unicode: our own mistake, and it stops the process."""
    row = beside.Evidence(
        topic="t", partition=0, offset=0, index=0, service="s", pattern="p", severity="error", at_ms=0, text=""
    )
    for wrong in ({"text": "x" * codec.EVENT_BYTES_MAX}, {"offset": 2**63}, {"text": "\ud800"}):
        with pytest.raises(InvariantError):
            codec.encode(msgspec.structs.replace(row, **wrong))
    with pytest.raises(InvariantError, match="not recorded by itself"):
        codec.encode(events.LineAt(offset=0, index=0))


@pytest.mark.parametrize("kind", RECORDED, ids=named)
def test_decoders_of_one_kind_take_only_that_kind(kind: type[Event]) -> None:
    """A decision among facts, or an outcome among commands, is an input error."""
    data = codec.encode(sample(kind))
    takes = {
        codec.decode_fact: FACTS,
        codec.decode_inbox: INBOX,
        codec.decode_decision: (events.Decision,),
        codec.decode_command: (events.Command,),
    }
    for decode_one, kinds in takes.items():
        if kind in kinds:
            assert decode_one(data) == sample(kind)
        else:
            with pytest.raises(InputError, match="is not a"):
                decode_one(data)
