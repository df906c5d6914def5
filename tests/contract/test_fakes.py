"""The in-memory logs that other tests stand on keep the same contract as Kafka."""

from __future__ import annotations

import asyncio

from streams.ports import Log, TopicPartition
from tests.analytics.memory_log import MemoryLog
from tests.contract.log_contract import LogContract, Scenario
from tests.sim.broker import Broker, Faults, SimLog, sleep
from tests.sim.kernel import Process, World


class _Places:
    def __init__(self, log: Log) -> None:
        self.log = log
        self.first = TopicPartition("facts", 0)
        self.second = TopicPartition("decisions", 0)
        self.wide = (TopicPartition("logs", 0), TopicPartition("logs", 1))


class _MemoryGround(_Places):
    async def delete_before(self, where: TopicPartition, offset: int) -> None:
        assert isinstance(self.log, MemoryLog)
        self.log.delete_below(where, offset)


class _SimGround(_Places):
    async def delete_before(self, where: TopicPartition, offset: int) -> None:
        assert isinstance(self.log, SimLog)
        self.log.broker[where].earliest = offset


class _Calm:
    """Nothing goes wrong with the process."""

    def before_call(self, process: Process) -> None:
        pass


class TestMemoryLogKeepsTheContract(LogContract):
    """The log that the event-log writer's tests use."""

    def run(self, scenario: Scenario) -> None:
        """Run a scenario on an empty log."""
        asyncio.run(_started(scenario, _MemoryGround(MemoryLog())))


async def _started(scenario: Scenario, ground: _MemoryGround) -> None:
    await scenario(ground)


class TestSimulatedLogKeepsTheContract(LogContract):
    """The log of the simulator, while nothing goes wrong."""

    def run(self, scenario: Scenario) -> None:
        """Run a scenario as a process of the simulator, under several seeds."""
        for seed in range(5):
            world = World(seed)
            log = SimLog(Broker(world, Faults(), watch=lambda _: None))
            ended: list[bool] = []

            async def main(_: Process, world: World = world, log: SimLog = log, ended: list[bool] = ended) -> None:
                await scenario(_SimGround(log))
                ended.append(True)
                await sleep(world, 1_000_000)

            Process(world, "scenario", main, _Calm(), ()).start()
            world.run(60_000)
            assert world.violations == []
            assert ended == [True]
