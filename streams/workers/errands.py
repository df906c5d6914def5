"""Errands: tasks without an action, which a worker of a role answers in its own loop, many at once.

They touch nothing, so they wait for nothing: neither for actions, nor for their start to be on disk. One that is cut
short is run again. Their ends are written down together, those that come in one turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from streams import telemetry
from streams.core.errors import InputError
from streams.core.events import Command
from streams.workers.crew import Crew
from streams.workers.errand import Errand
from streams.workers.frames import Ended, Run
from streams.workers.journal import Entry
from streams.workers.orders import RefusedError
from streams.workers.results import Result

GIVEN_MAX: Final = 500
"""Errands that one worker has at a time: what a pipe holds, so that nobody waits for the other's end of it."""


class Over(NamedTuple):
    """How a command ended: by which worker, and between which times of this host's clock (0: nothing was run)."""

    entry: Entry
    status: str
    result: Result
    worker: str = ""
    times_ms: tuple[int, int] = (0, 0)


class Errands:
    """The errands of one pool.

    ``check`` is asked right before one is given, ``run_of`` makes it a frame, ``end`` writes down the ends of many.
    """

    def __init__(
        self,
        crew: Crew,
        check: Callable[[Command], object],
        run_of: Callable[[Command], Run],
        end: Callable[[Sequence[Over]], None],
    ) -> None:
        self._crew = crew
        self._check = check
        self._run_of = run_of
        self._end = end
        self._waiting: deque[Entry] = deque()
        self._given: dict[str, Entry] = {}
        self._over: list[Over] = []

    def take(self, entries: Iterable[Entry]) -> None:
        """Take errands in and give out what can be given."""
        self._waiting.extend(entries)
        self.give()

    def give(self) -> None:
        """Give out what waits, in order; what no worker has room for waits on."""
        for _ in range(len(self._waiting)):
            entry = self._waiting.popleft()
            if not self._give(entry):
                self._waiting.append(entry)

    def _give(self, entry: Entry) -> bool:
        """Check an errand and hand it on, or end it; False when it has to wait."""
        command = entry.command
        try:
            errand = self._check(command)
        except RefusedError as error:
            telemetry.command_refused(command.id, f"{error.code}: {error}")
            self._note(Over(entry, "refused", Result(ok=False, code=error.code, effect="none")))
            return True
        except InputError:
            self._note(Over(entry, "expired", Result(ok=False, code="expired", effect="none")))
            return True
        worker = self._crew.of_role(errand.role) if isinstance(errand, Errand) else None
        if worker is None or len(worker.running) >= GIVEN_MAX:
            return False
        self._given[command.id] = entry
        self._crew.give(worker, self._run_of(command), command.timeout_ms)
        return True

    def ended(self, worker: str, ended: Ended) -> bool:
        """Take an answer; False when it is not one of an errand."""
        entry = self._given.pop(ended.command_id, None)
        if entry is None:
            return False
        times_ms = (ended.started_ms, ended.finished_ms)
        self._note(Over(entry, ended.status, ended.result, worker, times_ms))
        return True

    def lost(self, command_ids: Iterable[str]) -> None:
        """Take back what a worker had that is gone."""
        back = [self._given.pop(one) for one in command_ids if one in self._given]
        self._waiting.extendleft(reversed(back))

    def _note(self, over: Over) -> None:
        """Keep an end until this turn of the loop is over."""
        if not self._over:
            asyncio.get_running_loop().call_soon(self._settle)
        self._over.append(over)

    def _settle(self) -> None:
        over, self._over = self._over, []
        self._end(over)
        self.give()
