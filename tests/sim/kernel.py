"""Virtual time and processes: coroutines that are resumed, paused and thrown away by a seeded scheduler.

A coroutine of the simulation awaits nothing but ``Call``, or gives others a turn (``asyncio.sleep(0)``); what it asks
for begins when the scheduler says so, and the answer comes as an event in virtual time. Between any two awaits a
process can crash or be paused.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from random import Random
from typing import Any, Final, Protocol

Reply = Callable[[int, Any], None]
"""Answers a call after some milliseconds: with a value, or with an exception to raise."""


class Call:
    """What a coroutine asks of the world: ``begin`` is told who asks and how to answer."""

    __slots__ = ("begin",)

    def __init__(self, begin: Callable[[Process, Reply], None]) -> None:
        self.begin = begin

    def __await__(self) -> Generator[Call, Any, Any]:
        """Hand the call to the scheduler; the answer is what it sends back."""
        return (yield self)


TURN: Final = Call(lambda _process, reply: reply(0, None))
"""What a coroutine asks for that gives others a turn."""


class KilledError(BaseException):
    """What is worked on ends the process, as a fault in native code does: nobody catches it."""


class Chance(Protocol):
    """What goes wrong with a process."""

    def before_call(self, process: Process) -> None:
        """Crash or pause ``process``, now or soon."""
        ...


class World:
    """Time, chance and everything that is scheduled. Times are milliseconds since the beginning."""

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.random = Random(seed)
        self.now_ms = 0
        self.trace: list[str] | None = [] if trace else None
        self.violations: list[str] = []
        self.played: Counter[str] = Counter()
        """How often each fault did something to somebody."""
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Schedule an action."""
        self._count += 1
        heapq.heappush(self._events, (self.now_ms + delay_ms, self._count, action))

    def count(self) -> int:
        """Return a number that no other thing of this run has, and that is the same when the seed is played again."""
        self._count += 1
        return self._count

    def run(self, until_ms: int) -> None:
        """Do all that is scheduled up to a time, in order; stops at the first violation."""
        events = self._events
        while events and events[0][0] <= until_ms and not self.violations:
            self.now_ms, _, action = heapq.heappop(events)
            action()
        self.now_ms = max(self.now_ms, until_ms)

    def luck(self, share: float) -> bool:
        """Return True in ``share`` of all cases."""
        return self.random.random() < share

    def between(self, low: int, high: int) -> int:
        """Return an integer in [low, high]."""
        return low + int(self.random.random() * (high - low + 1))

    def note(self, text: str) -> None:
        """Add a line to the trace, if there is one."""
        if self.trace is not None:
            self.trace.append(f"{self.now_ms / 1000:9.3f} {text}")

    def plays(self, fault: str) -> None:
        """Count a fault as played."""
        self.played[fault] += 1
        self.note(f"** {fault}")

    def violated(self, claim: str) -> None:
        """Record that something happened that must never happen."""
        self.violations.append(claim)
        self.note(f"VIOLATION {claim}")


class Process:
    """A role that is started again whenever it ends. ``expected`` are the errors by which it may end itself."""

    def __init__(
        self,
        world: World,
        name: str,
        main: Callable[[Process], Coroutine[Call, Any, None]],
        chance: Chance,
        expected: tuple[type[Exception], ...],
    ) -> None:
        self.world = world
        self.name = name
        self.incarnation = 0
        self.alive = False
        self.paused_until_ms = 0
        self.lease_lost = False
        self.is_zombie = False
        """It slept past its session and has not heard of it yet."""
        self.away = False
        """It was stopped, and nobody starts it until ``come``."""
        self.on_crash: list[Callable[[], None]] = []
        self._main = main
        self._chance = chance
        self._expected = expected
        self._coroutine: Coroutine[Call, Any, None] | None = None
        self._deferred: tuple[int, Any] | None = None

    def start(self) -> None:
        """Begin a new incarnation."""
        if self.alive or self.away:
            return
        self.alive, self.lease_lost, self.is_zombie, self.paused_until_ms = True, False, False, 0
        self.incarnation += 1
        self.world.note(f"{self} starts")
        self._coroutine = self._main(self)
        self._resume(self.incarnation, None)

    def crash(self, why: str) -> None:
        """Throw the coroutine away and start again later."""
        if not self.alive or self._coroutine is None:
            return
        self.world.note(f"{self} ends: {why}")
        self.alive = False
        for action in self.on_crash:
            action()
        self._coroutine.close()
        self._coroutine = self._deferred = None
        self.world.after(self.world.between(100, 2_500), self.start)

    def leave(self) -> None:
        """Stop, and stay away."""
        self.away = True
        self.crash("it was stopped")

    def come(self) -> None:
        """Start after having been away."""
        self.away = False
        self.start()

    def pause(self, length_ms: int) -> None:
        """Stop the process for a while; what it has sent goes on."""
        if self.alive:
            self.world.note(f"{self} sleeps for {length_ms} ms")
            self.paused_until_ms = self.world.now_ms + length_ms
            self.world.after(length_ms, self.wake)

    def wake(self) -> None:
        """Go on after a pause."""
        self.paused_until_ms = 0
        if self._deferred is not None:
            deferred, self._deferred = self._deferred, None
            self._resume(*deferred)

    def _reply(self) -> Reply:
        incarnation = self.incarnation

        def reply(delay_ms: int, value: Any) -> None:
            self.world.after(delay_ms, lambda: self._resume(incarnation, value))

        return reply

    def _resume(self, incarnation: int, value: Any) -> None:
        if not self.alive or incarnation != self.incarnation or self._coroutine is None:
            return
        if self.world.now_ms < self.paused_until_ms:
            self._deferred = (incarnation, value)
            return
        if self.lease_lost:
            self.crash("its lease is lost")
            return
        self._step(value)

    def _step(self, value: Any) -> None:
        coroutine = self._coroutine
        if coroutine is None:
            return
        try:
            call: Call | None = coroutine.throw(value) if isinstance(value, Exception) else coroutine.send(value)
        except KilledError as error:
            self.crash(f"{error!r}")
        except self._expected as error:
            self.crash(f"{error!r}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            self.world.violated(f"{self} failed: {error!r}")
            self.crash("it failed")
        else:
            incarnation = self.incarnation
            self._chance.before_call(self)
            if self.alive and self.incarnation == incarnation:
                (call or TURN).begin(self, self._reply())

    def __str__(self) -> str:
        return f"{self.name}#{self.incarnation}"
