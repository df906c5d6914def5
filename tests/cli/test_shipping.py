"""Which topics are shipped to, and what is said of files that can't be read to their end; Kafka is a list here."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest
from click.testing import CliRunner

from streams.cli import main, shipping
from streams.ports import Outgoing, TopicPartition
from streams.settings import Settings

OWN = [
    "facts",
    "decisions",
    "commands",
    "evidence",
    "snapshots",
    "heartbeats",
    "dlq",
    "inbox.workers",
    "inbox.people",
    "inbox.advice",
]


class Kafka:
    """Takes everything in, and has one partition of every topic."""

    taken: list[Outgoing]

    def __init__(self, _settings: Settings) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        """Return partition 0 of each."""
        return [TopicPartition(topic, 0) for topic in topics]

    async def append(self, records: Sequence[Outgoing]) -> None:
        """Keep the records."""
        self.taken.extend(records)


@pytest.fixture(autouse=True)
def kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Kafka]:
    """Put the list in Kafka's place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Kafka, "taken", [], raising=False)
    monkeypatch.setattr(shipping, "Admin", Kafka)
    monkeypatch.setattr(shipping, "KafkaLog", Kafka)
    Path("good.log").write_text("one\ntwo\n")
    Path("damaged.log.gz").write_bytes(gzip.compress(b"one\n" * 5_000)[:-12])
    return Kafka


@pytest.mark.parametrize("name", OWN)
def test_nothing_is_shipped_to_a_topic_of_logmend(
    kafka: type[Kafka], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line among the fleet's facts would stop every reader of them, so it is wrong usage."""
    monkeypatch.setenv("LOGMEND_FLEET", "blue")
    result = CliRunner().invoke(main, ["ship", "good.log", "--topic", f"blue.{name}"])
    assert result.exit_code == 2
    assert f"blue.{name} is Logmend's own; ship to one of LOGMEND_LOGS" in result.stderr
    assert kafka.taken == []


def test_any_other_topic_is_shipped_to(kafka: type[Kafka]) -> None:
    """A topic that only looks like one of ours is the user's."""
    assert CliRunner().invoke(main, ["ship", "good.log", "--topic", "logmend.logs"]).exit_code == 0
    assert {record.topic for record in kafka.taken} == {"logmend.logs"}


@pytest.mark.parametrize("live", [(), ("--live",)])
def test_a_damaged_file_does_not_keep_the_others_back(kafka: type[Kafka], live: tuple[str, ...]) -> None:
    """The others are sent, what was acknowledged is said of each file, and the damaged one is named with status 1."""
    result = CliRunner().invoke(main, ["ship", "damaged.log.gz", "good.log", *live])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: damaged.log.gz: ")
    assert result.stdout.splitlines()[:2] == [
        "damaged.log.gz: 0 lines acknowledged, not all",
        "good.log: 2 lines acknowledged",
    ]
    assert "all acknowledged" not in result.stdout
    assert [record.value for record in kafka.taken] == [b"one", b"two"]


def test_a_damaged_file_is_named_in_json() -> None:
    """The one JSON document has each file's figures, and its problem."""
    result = CliRunner().invoke(main, ["ship", "damaged.log.gz", "good.log", "--json"])
    assert result.exit_code == 1
    figures = json.loads(result.stdout)
    assert (figures["files"], figures["lines"], figures["bytes"]) == (2, 2, 6)
    damaged, good = figures["each"]
    assert damaged["problem"].startswith("damaged.log.gz: ")
    assert good == {"file": "good.log", "lines": 2, "bytes": 6, "problem": ""}
