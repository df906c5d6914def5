"""Real processes that are killed, stopped, held down, asked to end, and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence

from streams.runtime.children import Child, children_of
from streams.runtime.readiness import ready_file
from streams.settings import Settings

READY_SECONDS_MAX = 180.0
END_SECONDS_MAX = 15.0
LOOK_SECONDS = 0.05
ROLES = (
    *("detect", "detect", "decide", "decide", "dispatch", "dispatch"),
    *("eventlog", "workers", "web", "notify", "advise"),
)
"""As ``logmend up --detect 2 --decide 2`` with a second dispatch; of decide and dispatch one is the standby."""


class Fleet:
    """Processes by name (``detect``, ``detect-2``, ...), each of which is to run unless it is in ``held``."""

    def __init__(self, settings: Settings, roles: Sequence[str] = ROLES) -> None:
        self.children: dict[str, Child] = {child.name: child for child in children_of(settings, roles)}
        self.held: set[str] = set()
        """Those that are not started again when they have ended."""
        self.died: list[str] = []
        """Names of processes that ended without being killed, with their last words."""
        self._data_dir = settings.data_dir
        self._killed: set[str] = set()
        self._begun: set[str] = set()
        (settings.data_dir / "run").mkdir(parents=True, exist_ok=True)

    def _start(self, child: Child) -> None:
        self._begun.add(child.name)
        self._killed.discard(child.name)
        child.start()

    def names(self, role: str) -> list[str]:
        """Return the names of a role's processes."""
        return [name for name, child in self.children.items() if child.role == role]

    async def start(self) -> None:
        """Start all; return when one of each role has work."""
        for name, child in self.children.items():
            if name not in self.held:
                self._start(child)
        await self.until(lambda: not self._waiting())

    async def until(self, holds: Callable[[], bool]) -> None:
        """Look after the processes until something holds. Raises ``TimeoutError`` with who is not ready."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not holds():
            self.look_after()
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ready: {[(child.name, child.last_words()) for child in self._waiting()]}")
            await asyncio.sleep(LOOK_SECONDS)

    async def until_ready(self, names: Iterable[str] = ()) -> None:
        """Return when one of each role has work, and so have these."""
        wanted = list(names)
        await self.until(lambda: not self._waiting() and all(self.children[name].ready for name in wanted))

    def _waiting(self) -> list[Child]:
        wanted = [child for name, child in self.children.items() if name not in self.held]
        ready = {child.role for child in wanted if child.ready}
        return [child for child in wanted if child.role not in ready]

    def active(self, role: str) -> str:
        """Return the name of the process of a role that got work last, which of active and standby is the active."""
        return max(self.names(role), key=self.got_work_at)

    def got_work_at(self, name: str) -> float:
        """Return when a process last got work (seconds since 1970); 0 when it has not since its start."""
        if not self.children[name].ready:
            return 0.0
        return ready_file(self._data_dir, name).stat().st_mtime

    def kill(self, name: str) -> bool:
        """Kill a process with SIGKILL; False when it is dead already."""
        return self.send(name, signal.SIGKILL)

    def send(self, name: str, number: signal.Signals) -> bool:
        """Send a signal; False when the process is dead already. One that ends of it has not ended by itself."""
        child = self.children[name]
        if not child.running:
            return False
        self._killed.add(name)
        os.kill(child.state.pid, number)
        return True

    async def hold(self, names: Iterable[str], number: signal.Signals = signal.SIGTERM) -> None:
        """End processes, in order or by a signal, and don't start them again; return when they have ended."""
        held = set(names)
        self.held |= held
        for name in held:
            self.send(name, number)
        deadline = time.monotonic() + END_SECONDS_MAX
        while any(self.children[name].running for name in held):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{held} do not end")
            await asyncio.sleep(LOOK_SECONDS)

    def release(self, names: Iterable[str]) -> None:
        """Have processes started again."""
        self.held -= set(names)
        self.look_after()

    def look_after(self) -> None:
        """Start again what has died."""
        for child in self.children.values():
            if not child.running and child.name not in self.held:
                if child.name in self._begun and child.name not in self._killed:
                    self.died.append(f"{child.name}: {child.last_words()}")
                self._start(child)

    async def keep(self) -> None:
        """Start again what dies, for ever, a moment after."""
        while True:
            await asyncio.sleep(0.2)
            self.look_after()

    def end(self) -> None:
        """Ask all to end, then see to it."""
        for child in self.children.values():
            child.terminate()
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline and any(child.running for child in self.children.values()):
            time.sleep(0.05)
        for child in self.children.values():
            child.end()
