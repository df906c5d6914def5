"""The commands on a real broker: from a dead letter to the line that is read after all."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from streams.ports import Outgoing, Record, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from tests.registry.serving import LOG_LINE, framed, log_line, serving
from tests.registry.test_on_kafka import append, detecting, read, slices
from tests.workers.kit import until

pytestmark = pytest.mark.broker

DYING = """
import os, signal, sys
from streams.cli import main
from streams.runtime.kafka import KafkaLog
left, append = int(sys.argv.pop(1)), KafkaLog.append
async def dying(self, records):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return await append(self, records)
KafkaLog.append = dying
main()
"""


@pytest.fixture
def fleet(broker: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Return settings of a fleet whose topics exist, given to the command through the environment."""
    monkeypatch.chdir(tmp_path)
    for name, value in broker.environment().items():
        monkeypatch.setenv(name, value)
    asyncio.run(create_topics(broker))
    return broker


def run(*arguments: str, status: int = 0, answer: str | None = None) -> Result:
    """Run ``logmend dlq`` and return what it printed."""
    result = CliRunner().invoke(main, ["dlq", *arguments], input=answer)
    assert result.exit_code == status, result.output
    return result


def letters(settings: Settings, *values: bytes) -> None:
    """Write dead letters as detect does, of partition 2 of the log topic."""
    place = (("logmend.topic", settings.logs[0].encode()), ("logmend.partition", b"2"), ("logmend.offset", b"0"))
    headers = (*place, ("logmend.reason", b"binary"), ("service", b"shop"))
    append(settings, *(Outgoing(settings.topics.dlq, value, None, 0, headers) for value in values))


def put_back(settings: Settings) -> list[Record]:
    """Return what is in the partition that the letters are of."""

    async def look() -> list[Record]:
        async with KafkaLog(settings) as log:
            where = TopicPartition(settings.logs[0], 2)
            found: list[Record] = []
            while records := await log.read(where, len(found), (await log.bounds(where))[1]):
                found += records
            return found

    return asyncio.run(look())


def test_lines_without_a_schema_are_read_once_the_registry_is_there(fleet: Settings) -> None:
    """A registry that was not set: dead letters that say so; with it and one command all lines are read."""
    append(
        fleet, *(Outgoing(fleet.logs[0], framed(7, log_line(f"fine {n}", at_ms=1)), partition=n % 4) for n in range(9))
    )
    with detecting(fleet):
        until(lambda: len(read(fleet, fleet.topics.dlq)) == 9)
    (count,) = json.loads(run("list", "--counts", "--json").stdout)["counts"]
    assert (count["reason"], count["letters"]) == ("confluent avro: no registry", 9)
    assert "LOGMEND_SCHEMA_REGISTRY" in run("list").stdout
    with serving() as served:
        served.schema(7, LOG_LINE)
        with detecting(fleet.model_copy(update={"schema_registry": served.address})):
            assert run("replay", "--yes").stdout.endswith("9 dead letters were put back and will be read again\n")
            until(lambda: sum(piece.lines for piece in slices(fleet)) == 9)
    assert run("replay", "--yes").stdout == "nothing to put back\n"
    assert sum(len(piece.rejects) for piece in slices(fleet)) == 9


@pytest.mark.parametrize(("appends", "lie_there"), [(1, 0), (2, 3)])
def test_a_replay_that_is_killed_repeats_nothing_by_itself(fleet: Settings, appends: int, lie_there: int) -> None:
    """Killed after its intent, or after the records: the next one leaves them out and says so, until --again."""
    letters(fleet, b"one", b"two", b"three")
    command = [sys.executable, "-c", DYING, str(appends), "dlq", "replay", "--yes"]
    assert subprocess.run(command, env=os.environ, check=False, capture_output=True, timeout=60).returncode == -9
    assert len(put_back(fleet)) == lie_there
    said = run("replay", "--yes", status=1)
    assert said.stdout == "nothing to put back\n"
    assert "3 are in doubt" in said.stderr
    assert len(put_back(fleet)) == lie_there
    assert {row["state"] for row in json.loads(run("list", "--json").stdout)["letters"]} == {"in doubt"}
    assert "3 dead letters were put back" in run("replay", "--yes", "--again").stdout
    assert [record.value for record in put_back(fleet)][lie_there:] == [b"one", b"two", b"three"]
    assert tuple(put_back(fleet)[-1].headers) == (("service", b"shop"), ("logmend.replayed", b"2"))
    assert {row["state"] for row in json.loads(run("list", "--json").stdout)["letters"]} == {"replayed"}


def test_nothing_is_put_back_unasked(fleet: Settings) -> None:
    """A dry run and a no leave everything as it is; a yes puts back what was chosen."""
    letters(fleet, b"one", b"two")
    assert run("replay", "--offset", "1", "--dry-run").stdout == f"would put back 1 to {fleet.logs[0]}\n"
    assert f"put back 1 to {fleet.logs[0]}? [y/N]" in run("replay", "--offset", "1", status=1, answer="n\n").stderr
    assert (put_back(fleet), len(read(fleet, fleet.topics.dlq))) == ([], 2)
    assert "1 dead letters were put back" in run("replay", "--offset", "1", answer="y\n").stdout
    assert [record.value for record in put_back(fleet)] == [b"two"]
    figures = json.loads(run("replay", "--offset", "0", "--json", "--yes").stdout)
    assert figures == {"chosen": {fleet.logs[0]: 1}, "put_back": {fleet.logs[0]: 1}, "left_out": {}}
    assert [record.value for record in put_back(fleet)] == [b"two", b"one"]


def test_an_empty_topic_and_a_wrong_wish_are_one_line(fleet: Settings) -> None:
    """Nothing there, an offset that is none, and a time that is none are said in words."""
    assert run("list").stdout == "no dead letters\n"
    assert json.loads(run("list", "--json").stdout) == {"letters": [], "counts": []}
    assert "no such dead letter: 5" in run("replay", "--offset", "5", "--yes", status=1).stderr
    assert "neither like 30m" in run("list", "--since", "yesterday", status=2).stderr
    assert run("list", "--since", "2h").stdout == run("list", "--since", "2026-01-01").stdout == "no dead letters\n"
