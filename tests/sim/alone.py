"""One coroutine alone with the simulated broker, where nothing goes wrong: for tests of a single engine."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from streams.ports import Fetched, Outgoing, TopicPartition
from tests.sim.broker import Broker, Faults, SimLog
from tests.sim.kernel import Call, Process, World

T = TypeVar("T")
TIME_MS_MAX = 600_000


class Alone:
    """A calm world with a broker. ``landed`` are all records in the order in which they came."""

    def __init__(self) -> None:
        self.world = World(0)
        self.landed: list[Fetched] = []
        self.broker = Broker(self.world, Faults(), self.landed.append)
        self.log = SimLog(self.broker)

    def before_call(self, process: Process) -> None:
        """Let nothing go wrong."""

    def run(self, coroutine: Coroutine[Call, Any, T]) -> T:
        """Run a coroutine to its end and return its result, or raise its error."""
        ends: list[T | Exception] = []

        async def main(_process: Process) -> None:
            try:
                ends.append(await coroutine)
            except Exception as error:  # noqa: BLE001 - raised below, outside of the simulation
                ends.append(error)
            await Call(lambda _process, _reply: None)

        Process(self.world, "alone", main, self, ()).start()
        until_ms = self.world.now_ms + TIME_MS_MAX
        while not ends:
            if self.world.now_ms >= until_ms:
                raise TimeoutError("the coroutine waits for something that never comes")
            self.world.run(self.world.now_ms + 1)
        if isinstance(ends[0], Exception):
            raise ends[0]
        return ends[0]

    def land(self, *records: Outgoing) -> None:
        """Append records as somebody else."""
        for record in records:
            self.broker.land(record)

    def values(self, topic: str) -> list[bytes]:
        """Return the values in the first partition of a topic."""
        return [record.value or b"" for record in self.broker[TopicPartition(topic, 0)].records]

    def records(self, where: TopicPartition, start: int = 0) -> list[Fetched]:
        """Return the records of a partition from an offset on."""
        partition = self.broker[where]
        return partition.read(max(start, partition.earliest), partition.end, partition.end)
