"""The whole process on a real Kafka: it compares, it survives a kill, and it writes to no topic."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.codec import encode
from streams.ports import Outgoing, TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import NAME_VARIABLE, ready_file
from streams.settings import Settings
from streams.shadow.journal import shadow_dir
from streams.shadow.report import report
from tests.core.world import World
from tests.shadow.scene import crashed, settled
from tests.workers.kit import until

pytestmark = pytest.mark.broker
LOGMEND = (sys.executable, "-m", "streams.cli")


def given(settings: Settings, **more: str) -> dict[str, str]:
    """Return the environment of a command."""
    return {**os.environ, **settings.environment(), "PYTHONPATH": os.pathsep.join(sys.path), **more}


@contextlib.contextmanager
def shadowing(settings: Settings, policy: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process until it is ready, and kill it at the end."""
    ready = ready_file(settings.data_dir, "shadow")
    ready.parent.mkdir(exist_ok=True)
    ready.unlink(missing_ok=True)
    command = [*LOGMEND, "shadow", "--policy", str(policy)]
    with subprocess.Popen(command, env=given(settings, **{NAME_VARIABLE: "shadow"})) as process:
        try:
            until(ready.exists)
            yield process
        finally:
            process.kill()


def compared(settings: Settings) -> int:
    """Return how many facts are compared so far."""
    return report(shadow_dir(settings.data_dir)).facts


def reported(settings: Settings) -> dict[str, object]:
    """Return what ``shadow report`` says."""
    command = [*LOGMEND, "shadow", "report", "--json"]
    done = subprocess.run(command, env=given(settings), capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


async def appended(settings: Settings, world: World, start: int) -> int:
    """Append the facts of a world from one on; return how many there are then."""
    async with KafkaLog(settings) as log:
        await log.append([Outgoing(settings.topics.facts, encode(fact)) for fact, _, _ in world.facts[start:]])
    return len(world.facts)


async def written(settings: Settings) -> set[str]:
    """Return the topics of ours that hold anything."""
    async with KafkaLog(settings) as log:
        ends = {topic.name: (await log.bounds(TopicPartition(topic.name, 0)))[1] for topic in settings.topics.all()}
    return {name for name, end in ends.items() if end}


def test_the_process_compares_and_writes_nowhere(broker: Settings, tmp_path: Path) -> None:
    """Killed in the middle and started again, it has compared each fact once; no topic but the facts has a record."""
    asyncio.run(create_topics(broker))
    policy = tmp_path / "candidate.toml"
    policy.write_text("automatic_recovery = false\n")
    world = settled()
    start = asyncio.run(appended(broker, world, 0))
    with shadowing(broker, policy) as process:
        place = asyncio.run(appended(broker, crashed(world, "api"), start))
        until(lambda: compared(broker) == place - start)
        process.send_signal(signal.SIGKILL)
    end = asyncio.run(appended(broker, crashed(world, "web"), place))
    with shadowing(broker, policy) as process:
        until(lambda: compared(broker) == end - start)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert reported(broker)["incidents_parted"] == 2
    assert asyncio.run(written(broker)) == {broker.topics.facts}
