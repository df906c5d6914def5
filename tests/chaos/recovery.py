"""``python -m tests.chaos.recovery``: how long a killed decide is missed, alone and with a standby.

Lines that each open an incident come all the time. Measured is the time from kill -9 to the first decision that is
appended by the next owner: the same process started again, or the standby when it does not come back.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer

from streams.codec import encode
from streams.core.config import Policy, canonical, sha256
from streams.core.events import ConfigApplied
from streams.ports import TopicPartition
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.kafka import KafkaLog
from streams.settings import Settings
from tests.chaos.fleet import Fleet
from tests.chaos.load import TROUBLE

LINE_SECONDS = 0.02
QUIET_CLOSE_MS = 5_000
LOOK_SECONDS = 0.005
DYING_SECONDS = 0.05
"""What a killed process had sent has landed by then."""
MISSED_SECONDS_MAX = 60.0
BETWEEN_SECONDS = 2.0
RECOVERED_SECONDS_MAX = 5.0


async def speak(settings: Settings) -> None:
    """Say that yet another service has crashed, for ever; what is quiet closes soon, so there is always room."""
    body = canonical(Policy(quiet_close_ms=QUIET_CLOSE_MS))
    policy = ConfigApplied(kind="policy", sha256=sha256(body), author="recovery", body=body)
    async with AIOKafkaProducer(bootstrap_servers=settings.brokers, acks="all") as producer:
        await producer.send_and_wait(settings.topics.inbox_people, encode(policy))
        number = 0
        while True:
            said = {"ts": time.time_ns() // 1_000_000, "service": f"crashed-{number}", "message": TROUBLE}
            await producer.send_and_wait(settings.logs[0], msgspec.json.encode(said), partition=0)
            number = (number + 1) % 5_000
            await asyncio.sleep(LINE_SECONDS)


class Decisions:
    """The end of the log of decisions, as seen from outside."""

    def __init__(self, log: KafkaLog, settings: Settings) -> None:
        self._log = log
        self._where = TopicPartition(settings.topics.decisions, 0)

    async def end(self) -> int:
        """Return the offset after the last decision."""
        return (await self._log.bounds(self._where))[1]

    async def until_beyond(self, end: int) -> None:
        """Return when there is a decision at ``end`` or later."""
        async with asyncio.timeout(MISSED_SECONDS_MAX):
            while await self.end() <= end:  # noqa: ASYNC110 - the broker has no event to wait for
                await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def deciding(settings: Settings, decides: int) -> AsyncIterator[tuple[Fleet, Decisions]]:
    """Run the stages, with one decide or two, under a steady flow of lines."""
    await create_topics(settings)
    fleet = Fleet(settings, ("detect", *["decide"] * decides, "dispatch"))
    async with KafkaLog(settings) as log:
        speaking = asyncio.create_task(speak(settings))
        try:
            await fleet.start()
            decisions = Decisions(log, settings)
            await decisions.until_beyond(10)
            yield fleet, decisions
        finally:
            speaking.cancel()
            fleet.end()


async def missed(fleet: Fleet, decisions: Decisions, name: str, *, restart: bool) -> float:
    """Kill a process; return the seconds until the next decision."""
    killed_at = time.monotonic()
    fleet.kill(name)
    await asyncio.sleep(DYING_SECONDS)
    end = await decisions.end()
    if restart:
        await asyncio.sleep(max(0.0, 0.1 - DYING_SECONDS))
        fleet.look_after()
    await decisions.until_beyond(end)
    return time.monotonic() - killed_at


async def restarts(settings: Settings, times: int) -> list[float]:
    """Return for each of some kills the seconds without a decision."""
    seconds = []
    async with deciding(settings, 1) as (fleet, decisions):
        for _ in range(times):
            seconds.append(await missed(fleet, decisions, "decide", restart=True))
            await asyncio.sleep(BETWEEN_SECONDS)
    return seconds


async def takeover(settings: Settings) -> float:
    """Kill the active one of two and leave it dead; return the seconds until the standby decides."""
    async with deciding(settings, 2) as (fleet, decisions):
        active = next(name for name, child in fleet.children.items() if child.role == "decide" and child.ready)
        return await missed(fleet, decisions, active, restart=False)


async def run(directory: Path, times: int) -> float:
    """Measure both on a broker of its own, and print; return the longest restart."""
    base = Settings(data_dir=directory, source_partitions=4, host="chaos-host")
    async with EmbeddedBroker(base) as broker:
        alone = base.model_copy(update={"brokers": broker.address, "data_dir": directory / "alone"})
        paired = base.model_copy(
            update={"brokers": broker.address, "data_dir": directory / "paired", "fleet": "paired"}
        )
        seconds = await restarts(alone, times)
        shown = " ".join(f"{one:.2f}" for one in seconds)
        print(f"decide killed {times} times, seconds to the next decision: {shown}; maximum {max(seconds):.2f}")  # noqa: T201 - this command's output
        print(f"the standby decided {await takeover(paired):.2f} s after the active one was killed")  # noqa: T201 - as above
        return max(seconds)


def main() -> int:
    """Measure and print; 1 when a restart took too long."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.recovery", description=__doc__)
    parser.add_argument("--times", type=int, default=10, help="how often decide is killed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logmend-recovery-", ignore_cleanup_errors=True) as directory:
        return int(asyncio.run(run(Path(directory), given.times)) >= RECOVERED_SECONDS_MAX)


if __name__ == "__main__":
    sys.exit(main())
