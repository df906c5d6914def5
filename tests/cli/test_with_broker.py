"""Commands that talk to Kafka, on a real one."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import comparing, main, steering
from streams.codec import decode, encode
from streams.core.beside import Evidence
from streams.core.events import Slice, Took
from streams.ports import Outgoing, Record, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import NAME_VARIABLE, ready_file
from streams.settings import Settings
from tests.ingest.metrics.given import gauge, number, request
from tests.workers.kit import until

pytestmark = pytest.mark.broker


@pytest.fixture
def fleet(broker: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Return settings of a fleet whose topics exist, given to the command through the environment."""
    monkeypatch.chdir(tmp_path)
    for name, value in broker.environment().items():
        monkeypatch.setenv(name, value)
    asyncio.run(create_topics(broker))
    return broker


def run(*arguments: str, status: int = 0) -> Result:
    """Run the command and return what it printed."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == status, result.output
    return result


def read(settings: Settings, topic: str, partition: int = 0) -> list[Record]:
    """Return all records of a partition."""

    async def look() -> list[Record]:
        where = TopicPartition(topic, partition)
        async with KafkaLog(settings) as log:
            start, end = await log.bounds(where)
            found: list[Record] = []
            while records := await log.read(where, start, end):
                found += records
                start = records[-1].offset + 1
            return found

    return asyncio.run(look())


@contextmanager
def detecting(settings: Settings, stage: str = "detect") -> Iterator[None]:
    """Run a detect process, which takes in what people and producers say, or one of another stage."""
    ours = {NAME_VARIABLE: stage, "PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment = {**settings.environment(), **ours}
    (settings.data_dir / "run").mkdir(exist_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "streams.cli", stage], env=environment)
    try:
        until(ready_file(settings.data_dir, stage).exists)
        yield
    finally:
        process.kill()
        process.wait()


def test_topics_are_made_and_described(broker: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Describe fails while topics are missing, and is content once create has made them."""
    for name, value in broker.environment().items():
        monkeypatch.setenv(name, value)
    assert f"{broker.topics.facts}: missing" in run("topics", "describe", status=1).stderr
    assert broker.topics.facts in json.loads(run("topics", "create", "--json").stdout)["made"]
    assert run("topics", "create").stdout == "all topics were there\n"
    rows = json.loads(run("topics", "describe", "--json").stdout)
    assert {row["topic"]: row["partitions"] for row in rows}[broker.logs[0]] == 4


def test_shipped_lines_keep_their_order_and_name_their_service(fleet: Settings, tmp_path: Path) -> None:
    """All lines of a file are records of one partition, in order, with the service in a header."""
    path = tmp_path / "shop.log.gz"
    path.write_bytes(gzip.compress(b"one\ntwo\n\nthree\n"))
    figures = json.loads(run("ship", str(path), "--json").stdout)
    assert (figures["files"], figures["lines"], figures["bytes"]) == (1, 3, 11)
    partitions = [records for number in range(4) if (records := read(fleet, fleet.logs[0], number))]
    (records,) = partitions
    assert [record.value for record in records] == [b"one", b"two", b"three"]
    assert {tuple(record.headers) for record in records} == {(("service", b"shop"),)}


def test_shipping_to_a_missing_topic_says_what_to_do(fleet: Settings, tmp_path: Path) -> None:
    """Nothing is created behind one's back."""
    path = tmp_path / "shop.log"
    path.write_text("one\n")
    said = run("ship", str(path), "--topic", "nowhere", status=1).stderr
    assert said == "error: topic nowhere is missing: make it with `logmend topics create`\n"


def test_a_gzip_file_can_not_be_followed(fleet: Settings, tmp_path: Path) -> None:
    """That is wrong usage, not a wait without an end."""
    path = tmp_path / "shop.log.gz"
    path.write_bytes(gzip.compress(b"one\n"))
    assert "a gzip file does not" in run("ship", str(path), "--follow", status=2).stderr


def test_what_people_say_is_in_force_when_the_command_returns(fleet: Settings, tmp_path: Path) -> None:
    """apply, halt and resume return once their event is a fact; diff, services list and up's comparison go by it."""
    policy, services = tmp_path / "policy.toml", tmp_path / "services.toml"
    policy.write_text("cooldown_ms = 5\n")
    services.write_text('[[services]]\nname = "shop"\nhost = "a"\n')
    with detecting(fleet):
        assert run("diff", str(policy)).stdout == "changed cooldown_ms: 30000 -> 5\n"
        assert "is in force; changed: cooldown_ms" in run("apply", str(policy)).stdout
        assert "was in force already" in run("apply", str(policy)).stdout
        assert run("diff", str(policy)).stdout == "no change\n"
        run("apply", str(services), "--author", "ada")
        (listed,) = json.loads(run("services", "list", "--json").stdout)
        assert (listed["name"], listed["mode"]) == ("shop", "observe")
        run("halt", "--author", "ada", "--reason", "freeze")
        assert steering.directory_now(fleet).halted_by == "ada"
        said = len(read(fleet, fleet.topics.inbox_people))
        assert "was on already, by ada" in run("halt", "--author", "bob").stdout
        assert len(read(fleet, fleet.topics.inbox_people)) == said
        assert run("resume").stdout == "resumed: the kill switch is off\n"
        directory = steering.directory_now(fleet)
        assert directory.halted_by == ""
        assert directory.applied["inventory"].author == "ada"
        policy.write_text("cooldown_ms = 6\n")
        local = fleet.model_copy(update={"policy": policy, "services": services})
        (line,) = asyncio.run(comparing.compare(local))
        assert line.startswith(f"{policy} is not the policy in force")


def test_what_nobody_records_is_said(fleet: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a detect process the command does not claim that anything is in force."""
    monkeypatch.setattr(steering, "WAIT_S", 0.3)
    assert "is `logmend up` (or `logmend detect`) running?" in run("halt", status=1).stderr


def test_a_rule_that_can_not_be_compiled_is_not_applied(fleet: Settings, tmp_path: Path) -> None:
    """A mistake in a pattern is named before anything is sent."""
    path = tmp_path / "rules.toml"
    path.write_text('[[rules]]\nid = "x"\ncategory = "disk"\nseverity = "error"\nhint = "h"\nexpressions = ["a(b"]\n')
    assert "error: " in run("apply", str(path), status=1).stderr
    assert read(fleet, fleet.topics.inbox_people) == []


def test_metrics_can_be_queried_and_are_accounted_for(fleet: Settings) -> None:
    """OTLP, Prometheus text and JSON on the topic of metrics are samples in SQL; a log line there is a dead letter."""
    topic = fleet.metrics[0]
    otlp = request(gauge("process.cpu.utilization", number(0.25), unit="1"), service__name="shop", host__name="h1")
    values = [
        (0, otlp.SerializeToString()),
        (1, b'up{job="cart",instance="h2:9100"} 1\nnode_load1 0.5\n'),
        (2, b'{"ts": 1800000000, "service": "mail", "host": "h3", "metric": "memory", "value": 41.5}'),
        (2, b'{"service": "mail", "message": "all is well"}'),
    ]
    asyncio.run(append([Outgoing(topic, value, None, partition) for partition, value in values], fleet))
    figures = (
        "select (select sum(points) from points), (select sum(unmapped) from points), (select count(*) from rejects)"
    )
    with detecting(fleet), detecting(fleet, "eventlog"):
        until(lambda: run("sql", figures, "--format", "csv").stdout.splitlines()[-1:] == ["4,1,1"])
    question = "select service, host, metric, kind, avg, last from samples order by metric"
    assert [list(row.values()) for row in json.loads(run("sql", question, "--json").stdout)] == [
        ["cart", "h2", "availability", "gauge", 100.0, 100.0],
        ["shop", "h1", "cpu", "gauge", 25.0, 25.0],
        ["mail", "h3", "memory", "gauge", 41.5, 41.5],
    ]
    assert json.loads(run("sql", "select reason from rejects", "--json").stdout) == [
        {"reason": "no metrics: JSON without a metric's name and value"}
    ]
    assert [record.value for record in read(fleet, fleet.topics.dlq)] == [values[-1][1]]


async def append(records: list[Outgoing], settings: Settings) -> None:
    """Append records to topics of the fleet."""
    async with KafkaLog(settings) as log:
        await log.append(records)


def test_a_reset_is_accepted_for_a_topic_that_shrank_only(fleet: Settings) -> None:
    """A source that was read further than it reaches is read from its start again; any other is refused."""
    logs = fleet.logs[0]
    assert "nothing to accept" in run("topics", "accept-reset", logs, status=1).stderr
    read_to_100 = [
        Took(source=logs, partition=0, term=1, nonce="n", owner="o"),
        Slice(
            source=logs,
            partition=0,
            term=1,
            from_offset=0,
            to_offset=100,
            rules_sha256="",
            lines=100,
            at_max_ms=0,
            append_max_ms=0,
        ),
    ]

    asyncio.run(append([Outgoing(fleet.topics.facts, encode(fact), b"") for fact in read_to_100], fleet))
    moved = json.loads(run("topics", "accept-reset", logs, "--json").stdout)
    assert moved == [{"partition": 0, "was": 100, "is": 0}]
    assert steering.directory_now(fleet).ledger.holding(logs, 0).to_offset == 0
    assert "no source" in run("topics", "accept-reset", "nonsense", status=1).stderr


def test_doctor_finds_missing_topics_bad(broker: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet without topics is bad, and says which command makes them; with them all is well."""
    for name, value in broker.environment().items():
        monkeypatch.setenv(name, value)
    found = json.loads(run("doctor", "--json", status=1).stdout)
    assert any(f["state"] == "bad" and "logmend topics create" in f["text"] for f in found)
    run("topics", "create")
    states = {finding["check"]: finding["state"] for finding in json.loads(run("doctor", "--json").stdout)}
    assert (states["broker"], states["topics"], states["data"]) == ("ok", "ok", "ok")


def test_a_dead_broker_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who can't be reached is named, with what to do."""
    monkeypatch.setenv("LOGMEND_BROKERS", "127.0.0.1:1")
    monkeypatch.setenv("LOGMEND_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("streams.runtime.kafka.CONNECT_S", 0.2)
    found = json.loads(run("doctor", "--json", status=1).stdout)
    assert any("no broker at 127.0.0.1:1" in finding["text"] for finding in found)


def test_what_people_ask_for_is_decided_on(fleet: Settings) -> None:
    """A mute is set and lifted by the id that was told, a task is answered by the pool, and a refusal is an error."""
    with contextlib.ExitStack() as stages:
        for stage in ("detect", "decide", "dispatch", "workers"):
            stages.enter_context(detecting(fleet, stage))
        said = run("silence", "api", "--for", "1h", "--why", "drill").stdout
        mute_id = said.split()[1]
        assert said == f"silence {mute_id} holds for 1h: end it with logmend unmute {mute_id}\n"
        assert run("unmute", mute_id).stdout == f"{mute_id} is over\n"
        assert "no such mute is set" in run("unmute", mute_id, status=1).output
        told = json.loads(run("task", "submit", "--host", fleet.host, "--description", "drill", "--json").stdout)
        assert (told["host"], told["ended"]) == (fleet.host, "done ok alive")
        assert run("heal").stdout == "the pool: done ok all_well\n"
    kept = [decode(record.value or b"") for record in read(fleet, fleet.topics.evidence)]
    assert [one.text for one in kept if isinstance(one, Evidence)] == ["drill"]
