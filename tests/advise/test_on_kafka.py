"""``logmend advise`` as a process of its own, on a real Kafka, with a program as its model."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from streams.codec import decode, encode
from streams.core.advice import ADVISORS, AdvisorsReported, OpinionGiven
from streams.core.base import Event
from streams.core.beside import Evidence
from streams.ports import Outgoing, TopicPartition
from streams.runtime.address import advise_address_file
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import NAME_VARIABLE, ready_file
from streams.settings import Settings
from tests.advise.models import opinion
from tests.advise.test_loop import asked
from tests.workers.kit import until

pytestmark = pytest.mark.broker

MODEL = """
import sys
prompt = sys.stdin.read()
with open(sys.argv[1], "a") as heard:
    heard.write(prompt.split("<data ")[-1][:32] + chr(10))
print(sys.argv[2])
"""


@pytest.fixture
def settings(broker: Settings, tmp_path: Path) -> Settings:
    """Return settings of a fleet whose topics exist, with a program that answers."""
    program = tmp_path / "model.py"
    program.write_text(MODEL)
    said = opinion("process.restart", 0.9, rationale="password=hunter2secret99")
    made = broker.model_copy(
        update={
            "advise_provider": "command",
            "advise_command": f"{sys.executable} {program} {tmp_path / 'heard'} '{said}'",
        }
    )
    asyncio.run(create_topics(made))
    return made


@contextmanager
def advising(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process until the block ends, then kill it as hard as can be."""
    environment = {**settings.environment(), NAME_VARIABLE: "advise", "PATH": "/usr/bin:/bin"}
    (settings.data_dir / "run").mkdir(exist_ok=True)
    ready_file(settings.data_dir, "advise").unlink(missing_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "streams.cli", "advise"], env=environment)
    try:
        until(ready_file(settings.data_dir, "advise").exists)
        yield process
    finally:
        process.kill()
        process.wait()


def events(settings: Settings, topic: str) -> list[Event]:
    """Return all that was said in a topic."""

    async def read() -> list[Event]:
        where = TopicPartition(topic, 0)
        async with KafkaLog(settings) as log:
            start, end = await log.bounds(where)
            found: list[Event] = []
            while records := await log.read(where, start, end):
                found += [decode(record.value or b"") for record in records]
                start = records[-1].offset + 1
            return found

    return asyncio.run(read())


def ask(settings: Settings, number: int, reason: str = "one") -> None:
    """Append a question to the decisions."""

    async def append() -> None:
        async with KafkaLog(settings) as log:
            question = asked(number, reason)
            await log.append([Outgoing(settings.topics.decisions, encode(question), b"")])

    asyncio.run(append())


def opinions(settings: Settings) -> list[OpinionGiven]:
    """Return all opinions."""
    return [one for one in events(settings, settings.topics.inbox_advice) if isinstance(one, OpinionGiven)]


def test_it_advises_is_killed_and_advises_on(settings: Settings, tmp_path: Path) -> None:
    """Questions are answered once each over kill -9, by one or three advisors; the service answers beside them."""
    with advising(settings):
        ask(settings, 1)
        until(lambda: len(opinions(settings)) == 1)
        url = advise_address_file(settings.data_dir).read_text()
        health = httpx.get(f"{url}/health").json()
        decided = httpx.post(f"{url}/decide", json={"decision": "risk_assessment", "action": "process.restart"}).json()
    assert (health["provider"], health["model_available"]) == ("command", True)
    assert decided["recommendation"] == "auto"
    ask(settings, 2, "three")
    with advising(settings) as process:
        until(lambda: len(opinions(settings)) == 4)
        process.terminate()
        assert process.wait(20) == 0
    given = opinions(settings)
    assert {(one.question_id, one.advisor) for one in given} == {
        ("1-1-0", "root_cause"),
        *(("1-2-0", advisor) for advisor in ADVISORS),
    }
    assert {(one.action, one.source, one.code) for one in given} == {("process.restart", "model", "")}
    said = [one for one in events(settings, settings.topics.inbox_advice) if isinstance(one, AdvisorsReported)]
    assert [one.advisors for one in said] == [ADVISORS, ADVISORS, ()]
    rationales = [one for one in events(settings, settings.topics.evidence) if isinstance(one, Evidence)]
    assert {one.topic for one in rationales} == {settings.topics.inbox_advice}
    assert not any("hunter2" in one.text for one in rationales)
    assert len((tmp_path / "heard").read_text().splitlines()) >= 4


def test_without_a_model_there_is_the_service_alone(broker: Settings) -> None:
    """With rules only it needs no broker, says nothing in the inbox, and answers over HTTP."""
    alone = broker.model_copy(update={"brokers": "127.0.0.1:1"})
    with advising(alone):
        url = advise_address_file(alone.data_dir).read_text()
        question = {"decision": "recovery_selection", "pattern": "process_crash"}
        answer = json.loads(httpx.post(f"{url}/decide", json=question).content)
    assert (answer["recommendation"], answer["source"]) == ("process.restart", "rules")
