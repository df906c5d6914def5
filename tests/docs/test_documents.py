"""Generated documents are current, valid for others' tools, and say what the code does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from streams.agents.dispatch import DECISIONS_OFFSET
from streams.catalogue.wire import wire
from streams.cli import ENTRIES
from streams.codec import schema_name
from streams.core.advice import AdviceEvent
from streams.core.events import Fact, InboxEvent
from streams.core.reports import FindingReported, SpecialistReported
from streams.core.requests import Request
from streams.core.tracing import HEADER
from streams.documents import DOCUMENTS, ROOT, __main__, asyncapi, stale, write
from streams.documents.materials import PINNED
from streams.documents.settings import SECTIONS, section_of
from streams.documents.topics import acls
from streams.runtime import dead_letters
from streams.settings import PREFIX, Settings
from streams.topics import Topics
from tests.docs.others import faults, schema

ASYNCAPI: dict[str, Any] = json.loads((ROOT / "docs" / "asyncapi.json").read_text())
BILL: dict[str, Any] = json.loads((ROOT / "deploy" / "sbom.cdx.json").read_text())


def test_generated_documents_are_current() -> None:
    """What is in the tree is what is generated from it."""
    assert list(stale()) == []


def test_a_document_that_is_not_current_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One changed character is found, by name, with what to do."""
    (tmp_path / "deploy").mkdir()
    write(tmp_path)
    assert list(stale(tmp_path)) == []
    path = tmp_path / "docs" / "settings.md"
    path.write_text(path.read_text().replace("true", "True", 1))
    assert list(stale(tmp_path)) == ["docs/settings.md"]
    monkeypatch.setattr(__main__, "stale", lambda: stale(tmp_path))
    assert __main__.main(["--check"]) == 1
    assert "docs/settings.md is not current: run python -m streams.documents" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------ AsyncAPI


def test_the_asyncapi_document_is_valid() -> None:
    """It is AsyncAPI 3.0.0 by the schema of its makers, Avro payloads and Kafka bindings included."""
    assert list(faults(ASYNCAPI, schema("asyncapi-3.0.0"))) == []


@pytest.mark.parametrize("spoilt", ["operations", "channels", "components"])
def test_an_invalid_asyncapi_document_would_be_found(spoilt: str) -> None:
    """The schema refuses a field that AsyncAPI has not, wherever it stands."""
    for row in (ASYNCAPI[spoilt]["messages"] if spoilt == "components" else ASYNCAPI[spoilt]).values():
        assert list(faults({**ASYNCAPI, spoilt: {"messages": {"x": {**row, "colour": 1}}}}, schema("asyncapi-3.0.0")))
        break


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    """Each ``$ref`` names a channel or a message that is there."""

    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            return [value["$ref"]] if "$ref" in value else [one for part in value.values() for one in references(part)]
        return [one for part in value for one in references(part)] if isinstance(value, list) else []

    found = references(ASYNCAPI)
    for reference in found:
        where: Any = ASYNCAPI
        for part in reference.removeprefix("#/").split("/"):
            where = where[part]
    assert len(found) > 60


def test_the_table_has_every_topic() -> None:
    """Each topic that is created is a channel, and the other way round."""
    assert {asyncapi.topic_of(name).name for name in wire().channels} == {topic.name for topic in Topics().all()}


def test_the_table_has_every_message() -> None:
    """What the code reads from a topic of events is what the table says it carries."""
    workers = (*get_args(InboxEvent)[:2], SpecialistReported, FindingReported)
    advice, requests = get_args(AdviceEvent), get_args(Request)
    people = set(get_args(InboxEvent)) - {*workers, *advice}
    carried = {name: set(channel.carries) for name, channel in wire().channels.items()}
    assert carried["facts"] == {schema_name(kind) for kind in get_args(Fact)}
    assert carried["inbox_workers"] == {schema_name(kind) for kind in workers}
    assert carried["inbox_advice"] == {schema_name(kind) for kind in advice}
    assert carried["inbox_people"] == {schema_name(kind) for kind in people} > {schema_name(kind) for kind in requests}


def test_the_table_has_every_process() -> None:
    """Whatever ``logmend`` runs as a process has a row."""
    processes = {name for name, entry in ENTRIES.items() if entry.summary.startswith("One process")}
    assert processes | {"producers", "people", "dlq"} == set(wire().processes)


def test_the_headers_of_dead_letters_are_those_in_the_table() -> None:
    """The table and the code that writes dead letters name the same headers."""
    assert tuple(wire().channels["dlq"].headers) == dead_letters.PLACE


def test_the_headers_of_commands_are_those_in_the_table() -> None:
    """The table names what dispatch sends beside a command."""
    assert tuple(wire().channels["commands"].headers) == (DECISIONS_OFFSET, HEADER)


def test_only_listed_messages_are_sent_and_only_listed_topics_read() -> None:
    """No row speaks of a channel or a message that there is not."""
    for name, row in wire().processes.items():
        assert {*row.sends, *row.receives, *row.group} <= set(wire().channels), name
        for channel, messages in row.sends.items():
            assert set(messages) <= set(wire().channels[channel].carries), name


def test_the_pool_can_neither_approve_nor_read_what_producers_sent() -> None:
    """The user of the pool writes to no inbox but its own, and reads no lines and no dead letters."""
    may = {(acl.name, acl.operation) for acl in acls() if acl.process == "workers"}
    assert not may & {("logmend.inbox.people", "Write"), ("logmend.facts", "Write"), ("logs", "Read")}
    assert ("logmend.dlq", "Read") not in may


# ------------------------------------------------------------------------------------------------- settings, materials


def test_every_setting_is_listed_once_in_its_section() -> None:
    """No setting is left out or stands twice, and no section is empty."""
    text = DOCUMENTS["docs/settings.md"]()
    for name in Settings.model_fields:
        assert text.count(f"| `{PREFIX}{name.upper()}` |") == 1
    assert {section_of(name) for name in Settings.model_fields} == set(SECTIONS)


def test_the_bill_of_materials_is_valid() -> None:
    """It is CycloneDX 1.6 by the schema of its makers."""
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(BILL)) is None
    assert validator.validate_str(json.dumps({**BILL, "components": [{"type": "library"}]})) is not None


def test_the_bill_of_materials_has_every_package_of_the_lock_and_every_jar() -> None:
    """Each pin of the lock is a component with its version, each jar one with its hash."""
    pins = PINNED.findall((ROOT / "deploy" / "runtime.lock").read_text())
    known = {(part["name"], part["version"]) for part in BILL["components"] if "purl" in part}
    assert known == set(pins)
    lines = (ROOT / "streams" / "runtime" / "kafka.sha256").read_text().split()
    jars = {part["bom-ref"]: part["hashes"][0]["content"] for part in BILL["components"] if "hashes" in part}
    assert jars == dict(zip(lines[1::2], lines[::2], strict=True))
