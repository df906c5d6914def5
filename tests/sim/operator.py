"""Who looks after the fleet: says of a topic that was made anew that it was meant, once detect has stopped at it."""

from __future__ import annotations

from typing import Any

from streams.cli import topics as topics_cli
from streams.core.directory import Directory
from streams.runtime.view import FactsView
from tests.sim.broker import Broker, SimLog, sleep
from tests.sim.kernel import Process, World
from tests.sim.scene import TOPICS
from tests.sim.trouble import LOGS, Trouble


class _Here:
    topics = TOPICS
    host = "h1"


class Operator:
    """Does what ``logmend topics accept-reset logs`` does, again and again until it is done."""

    def __init__(self, world: World, broker: Broker, trouble: Trouble) -> None:
        self._world = world
        self._broker = broker
        self._log = SimLog(broker)
        self._trouble = trouble

    async def run(self, _process: Process) -> None:
        """Look now and then whether detect has stopped."""
        while True:
            await sleep(self._world, self._world.between(200, 1_500))
            if self._trouble.is_told and self._trouble.is_anew and await self._accept():
                self._trouble.accept()

    async def _accept(self) -> bool:
        view = FactsView(self._log, TOPICS, Directory())
        await view.refresh()
        here: Any = _Here
        for where in LOGS:
            earliest, end = await self._log.bounds(where)
            if end < view.directory.ledger.holding(*where).to_offset:
                await self._log.append(topics_cli._reset(here, view, where, earliest))
        await view.refresh()
        return all(view.directory.ledger.holding(*where).to_offset == 0 for where in LOGS)
