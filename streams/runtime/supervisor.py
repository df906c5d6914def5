"""``logmend up``: the embedded broker, the topics, and one child for each role, kept alive until told to stop.

Start: broker, topics, all children at once. Stop: the stages and the pool together, then the event-log writer, so that
it archives what they wrote last, then the broker; an action under way may end. Whoever kills the supervisor itself ends
all of it (see tether.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Self

from streams import telemetry
from streams.core.errors import InputError
from streams.runtime.admin import create_topics
from streams.runtime.broker import EmbeddedBroker
from streams.runtime.broker_config import LOGS_BYTES_MAX
from streams.runtime.children import DELAY_FACTOR, DELAY_FIRST_S, DELAY_MAX_S, Child, ChildState, children_of
from streams.runtime.kafka import KafkaLog
from streams.runtime.readiness import forget_dead
from streams.runtime.view import FactsView
from streams.settings import Settings

ROLES: Final = ("detect", "decide", "dispatch", "workers", "host", "eventlog")
LAST: Final = frozenset({"eventlog"})
"""These stop after the others."""
READY_S: Final = 60.0
STARTS_MAX: Final = 3
"""A child that dies this often before it was ready does not get so far by another try."""
STOP_S: Final = 10.0
"""How long a process may take to end; none but the pool has work that may not be cut short."""
STOP_POOL_S: Final = 80.0
"""The pool lets what runs end: the catalogue's longest action takes 60 s, its worker 5 more, and to tell of it 10."""
POOL: Final = "workers"
SAY_S: Final = 2.0
"""Whoever takes longer than this to end is told of."""
POLL_S: Final = 0.05

Progress = Callable[[str], None]
OnReady = Callable[[Settings], Awaitable[None]]
"""Given the settings of the children, with the broker's address."""


class Supervisor:
    """Starts and keeps everything that one host runs. An async context manager.

    ``settings`` is given to every child, with ``brokers`` set to the embedded broker's address once that runs. A role
    that is named twice gets two processes.
    """

    def __init__(self, settings: Settings, progress: Progress | None = None, roles: Sequence[str] = ROLES) -> None:
        self.settings = settings
        self._roles = tuple(roles)
        self._progress: Progress = progress or (lambda _: None)
        self._broker = None if settings.brokers else EmbeddedBroker(settings, progress)
        self._children: list[Child] = []
        self._keeping: asyncio.Task[None] | None = None
        self._hurry = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def states(self) -> list[ChildState]:
        """What is known of each child now, in the order of their start."""
        return [child.state for child in self._children]

    async def start(self) -> None:
        """Return when everything is ready. Raises ``InputError`` in one line when it can't be, and leaves nothing."""
        began = time.monotonic()
        try:
            await self._start_broker()
            self._start_children()
            await self._until_ready()
        except BaseException:
            await self.stop()
            raise
        self._keeping = asyncio.create_task(self._keep())
        self._progress(f"ready in {time.monotonic() - began:.1f} s: Kafka at {self.settings.brokers}")

    async def stop(self) -> None:
        """End everything in order: the pool within 80 s, the others within 10 each, then the broker; else it is killed.

        A pool that is killed leaves what it had begun in doubt, or to be done again if it may be.
        """
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None
        await self._end([child for child in self._children if child.role not in LAST])
        await self._end([child for child in self._children if child.role in LAST])
        if self._broker is not None:
            await self._end_broker(self._broker)

    def hurry(self) -> None:
        """Let a stop, under way or to come, wait for nobody any more: all that is left is killed."""
        self._hurry = True

    async def _start_broker(self) -> None:
        self.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.settings.data_dir / "run").mkdir(exist_ok=True)
        if self._broker is not None:
            await self._broker.start()
            self.settings = self.settings.model_copy(update={"brokers": self._broker.address})
        self._progress("making the topics")
        made = await create_topics(self.settings, logs_bytes_max=LOGS_BYTES_MAX if self._broker else 0)
        if made:
            self._progress(f"made {len(made)} topics")
        async with KafkaLog(self.settings) as log:
            await FactsView.open(log, self.settings.topics)  # says so where the fleet is in another epoch

    def _start_children(self) -> None:
        forget_dead(self.settings.data_dir)
        self._children = children_of(self.settings, self._roles)
        self._progress(f"starting {', '.join(child.name for child in self._children)}")
        for child in self._children:
            child.start()

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        said: set[str] = set()
        while waiting := self._waiting():
            for child in waiting:
                child.look_after()
                if child.restarts >= STARTS_MAX:
                    raise InputError(f"{child.name} does not start: {child.last_words()} (see {child.log})")
            if time.monotonic() > deadline:
                names = ", ".join(child.name for child in waiting)
                raise InputError(f"not ready within {READY_S:.0f} s: {names} (see {waiting[0].log})")
            now = {child.name for child in self._children if child.ready}
            if now - said:
                self._progress(f"ready: {', '.join(sorted(now))}")
                said = now
            await asyncio.sleep(POLL_S)

    def _waiting(self) -> list[Child]:
        """Return the children of roles of which none is ready: the others share its work, or stand by without any."""
        served = {child.role for child in self._children if child.ready}
        return [child for child in self._children if child.role not in served]

    async def _keep(self) -> None:
        """Start again what dies: children each for itself, the broker on the same data and, if it can, address."""
        while True:
            if self._broker is not None and not self._broker.running:
                await self._revive(self._broker)
            for child in self._children:
                child.look_after()
            await asyncio.sleep(POLL_S)

    async def _revive(self, broker: EmbeddedBroker) -> None:
        """Start the broker again, with a growing delay. Should it need another address, all children are replaced."""
        self._progress(f"the broker ended: {await broker.died()}; starting it again")
        delay = DELAY_FIRST_S
        while True:
            try:
                await broker.start()
            except InputError as error:
                telemetry.handled("broker", str(error))
                self._progress(str(error))
                await asyncio.sleep(delay)
                delay = min(delay * DELAY_FACTOR, DELAY_MAX_S)
            else:
                break
        if broker.address != self.settings.brokers:
            self.settings = self.settings.model_copy(update={"brokers": broker.address})
            for child in self._children:
                child.end()
            self._start_children()

    async def _end(self, children: Sequence[Child]) -> None:
        """Ask all to end, and kill each whose time is over; one that was never ready has begun nothing."""
        began = time.monotonic()
        patience = {child: STOP_POOL_S if child.role == POOL and child.ready else STOP_S for child in children}
        said = False
        for child in children:
            child.terminate()
        while left := [child for child in children if child.running]:
            waited = time.monotonic() - began
            for child in left:
                if self._hurry or waited >= patience[child]:
                    child.end()
            if waited >= SAY_S and not said:
                longest = max(patience[child] for child in left)
                names = ", ".join(child.name for child in left)
                self._progress(f"waiting up to {longest:.0f} s for {names} to end what they have begun")
                said = True
            await asyncio.sleep(POLL_S)
        for child in children:
            child.end()

    async def _end_broker(self, broker: EmbeddedBroker) -> None:
        stopping = asyncio.ensure_future(broker.stop())
        while not stopping.done():
            if self._hurry:
                broker.kill()
            await asyncio.wait({stopping}, timeout=POLL_S)
        await stopping


async def run(
    settings: Settings,
    progress: Progress | None = None,
    roles: Sequence[str] = ROLES,
    on_ready: OnReady | None = None,
) -> None:
    """Run everything until SIGINT or SIGTERM, which also ends a start under way; a second one ends it at once.

    Raises ``InputError`` as ``start``. ``on_ready`` is called once, when everything is ready; what it raises ends
    everything.
    """
    stop = asyncio.Event()
    telemetry.loop_runs(asyncio.get_running_loop())
    supervisor = Supervisor(settings, progress, roles)

    def asked() -> None:
        if stop.is_set():
            supervisor.hurry()
        elif progress is not None:
            progress("stopping; another Ctrl-C ends everything at once")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked)
    starting = asyncio.ensure_future(_start(supervisor, on_ready))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stopping
        else:
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
    finally:
        stopping.cancel()
        await supervisor.stop()


async def _start(supervisor: Supervisor, on_ready: OnReady | None) -> None:
    await supervisor.start()
    if on_ready is not None:
        await on_ready(supervisor.settings)
