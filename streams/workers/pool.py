"""The manager of one host's pool (``logmend workers``): takes this host's commands and sees each one to its one end.

Reads ``logmend.commands`` by itself, its position is in the journal. Nothing that it learns or starts is forgotten by
``kill -9``: the order of steps is in ``journal.py``. At most ``PARALLEL_MAX`` actions run, one at a time per service;
looks go on beside them, and specialists come and go at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from streams import telemetry
from streams.core.directory import Directory
from streams.core.events import Command
from streams.core.fold import EPOCH
from streams.ports import PolledLog, Poller
from streams.topics import Topics
from streams.workers.appends import Appends
from streams.workers.checks import ExpiredError, Moment, check
from streams.workers.clock import now_ms
from streams.workers.crew import Crew, Timing
from streams.workers.errand import Errand, is_errand
from streams.workers.errands import Errands
from streams.workers.frames import Ended, Run
from streams.workers.healing import Heal, heal
from streams.workers.intake import Intake
from streams.workers.journal import RECEIVED, STARTED, Entry, Journal
from streams.workers.members import Release, Spawn
from streams.workers.orders import Order, RefusedError, may_repeat
from streams.workers.probes import Probes
from streams.workers.pulse import Pulse
from streams.workers.results import Result, Surroundings
from streams.workers.specialists import Specialists
from streams.workers.telling import Telling

PARALLEL_MAX: Final = 4
LOOKS_MAX: Final = 16
AT_ONCE: Final = frozenset({"spawn", "release", "heal"})
"""Kinds of commands that wait for nothing."""
TRIES_MAX: Final = 5
"""A repeatable command whose worker dies this often is in doubt: it may be what kills the worker."""
PROBES_SECONDS: Final = 1.0
BEATS_FIRST: Final = 2
"""The first one connects, so it is slow and tells little of the clock."""
BEATS_FIRST_MAX: Final = 10
"""So many are sent at most until one was quick enough to tell more."""
TELL_SECONDS: Final = 10.0
"""How long a stop waits for the broker; what could not be told is in the journal."""
PROTECTING_MODES: Final = frozenset({"observe", "approve"})


class View(Protocol):
    """What the pool knows of the fleet: ``streams.runtime.view.FactsView``."""

    @property
    def directory(self) -> Directory:
        """Kill switch, epoch and inventory as of the last ``refresh``."""
        ...

    async def refresh(self) -> None:
        """Read to the end of the facts as it is now."""
        ...

    async def follow(self, poller: Poller) -> None:
        """Read facts as they come, for ever."""
        ...


class Host(Struct, frozen=True, kw_only=True):
    """What the pool is told of its host. ``environment`` and ``tool_path`` are those of ``Surroundings``."""

    name: str
    checkpoints: Path
    workers_per_role: int = 1
    dry_run: bool = True
    environment: Mapping[str, str] = {}
    tool_path: str = ""
    timing: Timing = Timing()


class Pool:
    """One host's commands, from the topic to their outcomes."""

    def __init__(self, log: PolledLog, topics: Topics, view: View, journal: Journal, host: Host) -> None:
        self._log = log = Appends(log)
        self._topics = topics
        self._view = view
        self._journal = journal
        self._host = host
        self._intake = Intake(log, topics.commands, journal, host.name)
        self._pulse = Pulse(log, topics.heartbeats, host.name)
        self._work = asyncio.Event()
        self._telling = Telling(log, topics.inbox_workers, journal, host.name, self._skew_ms)
        self.crew = Crew(host.workers_per_role, host.timing, self._on_ended, self._on_lost, self._on_ready)
        self._errands = Errands(self.crew, self._check, self._run, self._telling.end_errands)
        self._specialists = Specialists(host.name, self.crew, journal, self._skew_ms, self._end, self._telling.news.set)
        self._probes = Probes(host.name, host.checkpoints, self._skew_ms, self._telling.probe, host.tool_path)
        self._waiting: dict[str, Entry] = {}
        self._under_way: dict[str, Entry] = {}
        self._healing: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
        """Work until ``stop`` is set, then finish what is under way and leave.

        ``ready`` is called once the journal has its place: what comes from then on, no earlier journal can have had
        done. Whatever else ends it raises: nothing may go on after a failed append or a hole in the commands.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.crew.work())
                tasks = await self._begin(group)
                ready()
                await stop.wait()
                await self._finish(tasks)
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors

    async def _begin(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Learn the time, settle what the last manager left, then begin all loops."""
        await self._intake.begin()
        beats = 0
        while self._pulse.skew_ms is None or beats < (BEATS_FIRST if self._pulse.is_sure else BEATS_FIRST_MAX):
            await self._pulse.beat(self.crew.workers, "starting")
            beats += 1
        self._recover()
        following = self._view.follow(self._log)
        loops = (self._read(), following, self._act(), self._telling.run(), self._probe(group))
        beating = self._pulse.keep(lambda: self.crew.workers)
        return [group.create_task(loop) for loop in (*loops, beating)]

    async def _finish(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Stop taking commands, let running ones end, tell their outcomes; the rest stays in the journal."""
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._probes.stop()
        self._specialists.stop()
        await self.crew.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TELL_SECONDS):
                await self._log.settle()
                await self._telling.tell()
                await self._pulse.beat(self.crew.workers, "stopping")

    # ------------------------------------------------------------------------------------------------------- loops

    async def _read(self) -> None:
        while True:
            taken = await self._intake.take()
            self._take(taken)

    def _take(self, entries: Sequence[Entry]) -> None:
        """Let errands out at once, and the rest wait for its turn."""
        self._errands.take(entry for entry in entries if is_errand(entry.command))
        others = {entry.command.id: entry for entry in entries if not is_errand(entry.command)}
        self._waiting |= others
        if others:
            self._work.set()

    async def _act(self) -> None:
        """Start what may start, whenever something changed."""
        while True:
            await self._work.wait()
            self._work.clear()
            await self._start_some()

    async def _probe(self, group: asyncio.TaskGroup) -> None:
        """Probe what the inventory says now."""
        while True:
            self._probes.follow(self._view.directory.inventory, group)
            await asyncio.sleep(PROBES_SECONDS)

    # ------------------------------------------------------------------------------------------------------ acting

    async def _start_some(self) -> None:
        """Admit what may start now; what finds no worker that is up waits for one."""
        stuck: set[str] = set()
        while entry := self._next(stuck):
            await self._view.refresh()
            if not self._admit(entry):
                stuck.add(entry.command.id)

    def _next(self, stuck: AbstractSet[str]) -> Entry | None:
        """Return the first command that may start: of actions, one for each service and not too many in all."""
        acting = [entry.command.service for entry in self._under_way.values() if entry.command.kind != "look"]
        busy, looks = set(acting), len(self._under_way) - len(acting)
        for entry in self._waiting.values():
            command = entry.command
            if command.kind in AT_ONCE or (command.kind == "look" and looks < LOOKS_MAX and command.id not in stuck):
                return entry
            if command.kind == "look" or command.service in busy or len(acting) >= PARALLEL_MAX:
                continue
            if command.id not in stuck:
                return entry
            busy.add(command.service)
        return None

    def _admit(self, entry: Entry) -> bool:
        """Check a command and hand it on, or end it; False when no worker is up to take it.

        Between the check and the worker lies one write to disk: that it is started.
        """
        command = entry.command
        try:
            order = self._check(command)
        except RefusedError as error:
            telemetry.command_refused(command.id, f"{error.code}: {error}")
            self._turn_down(entry, "refused", error.code)
            return True
        except ExpiredError:
            self._turn_down(entry, "expired", "expired")
            return True
        if not isinstance(order, Order):
            self._do_at_once(entry, order)
            return True
        if not order.repeatable and self._is_older_than_journal(entry):
            self._end(entry, "in_doubt", Result(ok=False, code="journal_new", effect="unknown"))
            return True
        worker = self._specialists.choose(command) or self.crew.choose(command.action)
        if worker is None:
            return False
        started = self._start(entry)
        if started is not None:
            self._under_way[command.id] = started
            telemetry.actions_running(len(self._under_way))
            self.crew.give(worker, self._run(command), order.timeout_ms)
        return True

    def _start(self, entry: Entry) -> Entry | None:
        """Write down that a command starts; None when it may not: it has, or it is over."""
        del self._waiting[entry.command.id]
        started = self._journal.start(entry.command.id)
        return entry._replace(state=STARTED, tries=entry.tries + 1) if started else None

    def _heal(self, entry: Entry) -> None:
        """Replace dead and hung workers, beside everything else; the next heartbeats say who has a new process."""
        started = self._start(entry)
        if started is not None:
            task = asyncio.get_running_loop().create_task(self._healed(started))
            self._healing.add(task)
            task.add_done_callback(self._healing.discard)

    async def _healed(self, entry: Entry) -> None:
        began_ms = now_ms()
        result = await heal(self.crew)
        await self._pulse.beat(self.crew.workers)
        self._end(entry, "done", result, times_ms=(began_ms, now_ms()))

    def _do_at_once(self, entry: Entry, asked: Spawn | Release | Errand | Heal) -> None:
        if isinstance(asked, Heal):
            self._heal(entry)
            return
        if self._host.dry_run:
            telemetry.action_logged(entry.command.id, entry.command.action, entry.command.service)
            self._turn_down(entry, "refused", "dry_run")
            return
        started = self._start(entry)
        if started is None:
            return
        if isinstance(asked, Spawn):
            self._specialists.call(started, asked)
        elif isinstance(asked, Release):
            self._specialists.release(started, asked)

    def _turn_down(self, entry: Entry, status: str, code: str) -> None:
        if entry.command.kind == "spawn":
            self._specialists.refused(entry.command, code)
        self._end(entry, status, _nothing(code, entry))

    def _skew_ms(self) -> int:
        return self._pulse.skew_ms or 0

    def _check(self, command: Command) -> Order | Spawn | Release | Errand | Heal:
        return check(command, self._moment())

    def _moment(self) -> Moment:
        directory = self._view.directory
        return Moment(
            host=self._host.name,
            clock_ms=now_ms(),
            skew_ms=self._skew_ms(),
            epoch=directory.epoch,
            own_epoch=EPOCH,
            halted_by=directory.halted_by,
            inventory=directory.inventory,
        )

    def _run(self, command: Command) -> Run:
        here = [spec for spec in self._view.directory.inventory.services if spec.host == self._host.name]
        protected = tuple(
            spec.pid_file
            for spec in here
            if spec.name != command.service and spec.pid_file and (spec.protected or spec.mode in PROTECTING_MODES)
        )
        return Run(
            command=command,
            give_up_ms=command.expires_ms + (self._skew_ms()),
            dry_run=self._host.dry_run,
            surroundings=Surroundings(
                checkpoints=str(self._host.checkpoints),
                protected=protected,
                environment=dict(self._host.environment),
                tool_path=self._host.tool_path,
                trace=self._intake.trace_of(command.id),
                dependencies={spec.name: spec.port for spec in here if spec.port} if command.kind == "look" else {},
            ),
        )

    def _is_older_than_journal(self, entry: Entry) -> bool:
        """Say whether an earlier journal, now lost, may have had this command done."""
        position = self._journal.position()
        return position is not None and entry.offset < position.born_offset

    # ------------------------------------------------------------------------------------------------------ ending

    def _on_ended(self, worker: str, ended: Ended) -> None:
        entry = self._under_way.pop(ended.command_id, None)
        if self._errands.ended(worker, ended) or entry is None:
            return
        telemetry.actions_running(len(self._under_way))
        command = entry.command
        if ended.result.code == "dry_run":
            telemetry.action_logged(command.id, command.action, command.service)
        if ended.result.detail:
            telemetry.handled("action", f"{command.action} {command.service}: {ended.result.detail}")
        self._end(entry, ended.status, ended.result, worker, (ended.started_ms, ended.finished_ms))
        if ended.started_ms and command.kind != "look":
            self._probes.boost(command.service)

    def _on_ready(self) -> None:
        self._pulse.news()
        self._errands.give()
        self._work.set()

    def _on_lost(self, worker: str, command_ids: Sequence[str]) -> None:
        self._pulse.news()
        self._errands.lost(command_ids)
        for command_id in command_ids:
            entry = self._under_way.pop(command_id, None)
            if entry is not None:
                self._again_or_in_doubt(entry, worker)
        telemetry.actions_running(len(self._under_way))
        self._waiting = dict(sorted(self._waiting.items(), key=lambda item: item[1].command.seq))

    def _recover(self) -> None:
        """Take up what the journal says is not over; no worker of an earlier manager acts on it any more."""
        for entry in self._journal.unfinished():
            if entry.state == STARTED and entry.command.kind == "heal":
                self._end(entry, "done", Result(ok=True, code="pool_restarted", effect="none"))
            elif entry.state == STARTED and entry.command.kind in AT_ONCE:
                self._specialists.recover(entry)
            elif entry.state == STARTED:
                self._again_or_in_doubt(entry, "", blamed=False)
            else:
                self._take([entry])
        self._specialists.bury()
        self._work.set()

    def _again_or_in_doubt(self, entry: Entry, worker: str, *, blamed: bool = True) -> None:
        """Settle a command that may have taken effect, and whose worker can't say; ``blamed`` for its death or not."""
        command = entry.command
        tried_out = blamed and entry.tries >= TRIES_MAX
        if not tried_out and may_repeat(command) and self._journal.hand_back(command.id, blamed=blamed):
            tries = entry.tries if blamed else max(entry.tries - 1, 1)
            self._waiting[command.id] = entry._replace(state=RECEIVED, tries=tries)
            self._work.set()
        else:
            self._end(entry, "in_doubt", Result(ok=False, code="worker_lost", effect="unknown"), worker)

    def _end(
        self, entry: Entry, status: str, result: Result, worker: str = "", times_ms: tuple[int, int] = (0, 0)
    ) -> None:
        """Write down the one end of a command; telling it comes after."""
        self._waiting.pop(entry.command.id, None)
        self._telling.end(entry, status, result, worker, times_ms)
        self._work.set()


def _nothing(code: str, entry: Entry) -> Result:
    """Return the result of a command that is not run now; an earlier try, cut short, may have had an effect."""
    return Result(ok=False, code=code, effect="unknown" if entry.tries else "none")


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of nested groups."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
