"""Released schemas never change, agree with the core's structs, and can't be used for an attack."""

from __future__ import annotations

import json
import shutil
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form

import schemas
from schemas import check
from streams import codec
from streams.core import beside, events
from streams.core.base import Event

RECORDED: tuple[type[Event], ...] = (
    *typing.get_args(events.Fact),
    *typing.get_args(events.InboxEvent),
    events.Decision,
    events.Command,
    beside.Evidence,
    beside.Heartbeat,
)
AVRO = {int: "long", str: "string", float: "double", bool: "boolean", bytes: "bytes"}


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """Return a copy of the released schemas that a test may spoil."""
    for path in Path(schemas.__path__[0]).iterdir():
        if path.suffix in {".avsc", ".json"}:
            shutil.copy(path, tmp_path)
    return tmp_path


def shape(kind: Any) -> Any:
    """Return what the newest schema of a struct or field must be, without documentation."""
    if kind in AVRO:
        return AVRO[kind]
    if kind is events.Message:
        return {"record": "Message", "fields": {"offset": "long", "append_ms": "long", "body": "bytes"}}
    if isinstance(kind, type) and issubclass(kind, Event):
        fields = {field.name: shape(field.type) for field in msgspec.structs.fields(kind)}
        return {"record": kind.__name__, "fields": fields}
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return [shape(arguments[0])]
    return {"null or": shape(arguments[0])}


def shape_of_schema(schema: Any) -> Any:
    """Return the same of a schema."""
    match schema:
        case {"type": "record", "name": name, "fields": fields}:
            return {"record": name, "fields": {field["name"]: shape_of_schema(field["type"]) for field in fields}}
        case {"type": "array", "items": items}:
            return [shape_of_schema(items)]
        case ["null", other]:
            return {"null or": shape_of_schema(other)}
    return schema


@pytest.mark.parametrize("kind", RECORDED, ids=lambda kind: kind.__name__)
def test_struct_and_schema_agree_field_by_field(kind: type[Event]) -> None:
    """The newest schema has the struct's fields, in its order, with its types, all the way down."""
    name = codec.schema_name(kind)
    expected = shape(kind)
    found = shape_of_schema(schemas.load(name, schemas.latest(name)))
    assert found == expected
    assert json.dumps(found) == json.dumps(expected)


def test_every_struct_is_released_and_nothing_else() -> None:
    """The allow-list holds the recorded structs, no more and no less."""
    assert {release.name for release in schemas.released()} == {codec.schema_name(kind) for kind in RECORDED}


def test_the_released_schemas_pass_the_check() -> None:
    """``python -m schemas.check`` has nothing to say."""
    assert check.check() == []
    assert check.main([]) == 0


def test_two_implementations_compute_the_same_fingerprints() -> None:
    """The fingerprint in the lock, computed by Apache's library, is the one that fastavro computes."""
    for release in schemas.released():
        form = to_parsing_canonical_form(schemas.load(release.name, release.version))
        assert fingerprint(form, "CRC-64-AVRO") == release.fingerprint.hex(), release.filename


def test_every_field_is_documented() -> None:
    """A reader of a file alone learns what each field is, and its unit."""
    for release in schemas.released():
        for name, body in check.records(schemas.load(release.name, release.version)):
            assert all(field.get("doc") for field in json.loads(body)), f"{release.filename}: {name}"


def test_a_schema_that_was_never_released_cannot_be_loaded() -> None:
    """The error names what there is."""
    with pytest.raises(LookupError, match=r"there are: .*decision 1"):
        schemas.load("decision", 99)
    with pytest.raises(LookupError, match="no released schema"):
        schemas.latest("nothing")


@pytest.mark.parametrize("filename", [release.filename for release in schemas.released()])
def test_an_edit_of_a_released_file_is_found(room: Path, filename: str) -> None:
    """One more space in a released file is named."""
    path = room / filename
    path.write_text(path.read_text().replace("{", "{ ", 1))
    assert check.check(room) == [f"{filename}: was changed after its release; add a new version instead"]


def test_a_missing_and_an_unreleased_file_are_found(room: Path) -> None:
    """What is in the lock must be there, and what is there must be in the lock."""
    (room / "ticked.v1.avsc").rename(room / "tocked.v1.avsc")
    faults = check.check(room)
    assert "ticked.v1.avsc: was released and is gone" in faults
    assert any(fault.startswith("tocked.v1.avsc: is not released") for fault in faults)


def second_version(room: Path, **field: Any) -> list[str]:
    """Release a second version of ``ticked`` with one more field and return the faults."""
    schema = json.loads((room / "ticked.v1.avsc").read_text())
    schema["fields"].append(field)
    (room / "ticked.v2.avsc").write_text(json.dumps(schema))
    check.release(room)
    return check.check(room)


def test_a_new_field_with_a_default_is_compatible(room: Path) -> None:
    """A second version that can read the first passes."""
    assert second_version(room, name="lag_ms", type="long", default=0) == []


def test_a_new_field_without_a_default_is_incompatible(room: Path) -> None:
    """A second version that cannot read the first is named."""
    (fault,) = second_version(room, name="lag_ms", type="long")
    assert fault.startswith("ticked.v2.avsc cannot read ticked.v1.avsc")


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ({"type": "array", "items": "null"}, "an array of items that take no byte"),
        (
            {"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}},
            "an array of items that take no byte",
        ),
        (["null", "Ticked"], "Ticked contains itself"),
        ({"type": "map", "values": "long"}, "is neither a record, an array, a union nor a simple type"),
    ],
)
def test_a_schema_that_could_be_abused_is_found(room: Path, kind: Any, fault: str) -> None:
    """Recursion, items without a byte, and types that we do not bound are refused."""
    assert any(fault in line for line in second_version(room, name="more", type=kind))


def test_a_record_spelled_in_two_ways_is_found(room: Path) -> None:
    """The command inside a decision is the command that stands alone."""
    schema = json.loads((room / "command.v1.avsc").read_text())
    schema["fields"].append({"name": "more", "type": "long", "default": 0, "doc": "more"})
    (room / "command.v2.avsc").write_text(json.dumps(schema))
    check.release(room)
    assert "Command differs between command.v2.avsc and decision.v3.avsc" in check.check(room)


def test_a_release_never_changes_what_is_in_the_lock(room: Path) -> None:
    """Releasing again after an edit keeps the old hash, so that the edit is still found."""
    before = check.read_lock(room)
    (room / "took.v1.avsc").write_text((room / "took.v1.avsc").read_text() + "\n")
    check.release(room)
    assert check.read_lock(room) == before


def test_a_file_with_a_wrong_name_or_content_is_one_line(room: Path) -> None:
    """What is no schema is named and nothing more is said."""
    (room / "Took.avsc").write_text("{}")
    assert check.check(room) == ["Took.avsc: a schema file is named <name>.v<version>.avsc"]
    (room / "Took.avsc").unlink()
    (room / "took.v2.avsc").write_text("{")
    (fault,) = check.check(room)
    assert fault.startswith("took.v2.avsc: ")
