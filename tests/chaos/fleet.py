"""Real processes that are killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence

from streams.runtime.children import Child, children_of
from streams.settings import Settings

READY_SECONDS_MAX = 60.0
ROLES = ("detect", "detect", "decide", "dispatch", "eventlog", "workers")


class Fleet:
    """Processes by name (``detect``, ``detect-2``, ...), each of which is to run."""

    def __init__(self, settings: Settings, roles: Sequence[str] = ROLES) -> None:
        self.children: dict[str, Child] = {child.name: child for child in children_of(settings, roles)}
        self.died: list[str] = []
        """Names of processes that ended without being killed, with their last words."""
        self._killed: set[str] = set()
        (settings.data_dir / "run").mkdir(parents=True, exist_ok=True)

    async def start(self) -> None:
        """Start all; return when one of each role has work."""
        for child in self.children.values():
            child.start()
        deadline = time.monotonic() + READY_SECONDS_MAX
        while waiting := self._waiting():
            self.look_after()
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ready: {[(child.name, child.last_words()) for child in waiting]}")
            await asyncio.sleep(0.05)

    def _waiting(self) -> list[Child]:
        ready = {child.role for child in self.children.values() if child.ready}
        return [child for child in self.children.values() if child.role not in ready]

    def kill(self, name: str) -> bool:
        """Kill a process with SIGKILL; False when it is dead already."""
        child = self.children[name]
        if not child.running:
            return False
        self._killed.add(name)
        os.kill(child.state.pid, signal.SIGKILL)
        return True

    def look_after(self) -> None:
        """Start again what has died."""
        for child in self.children.values():
            if not child.running:
                if child.name not in self._killed:
                    self.died.append(f"{child.name}: {child.last_words()}")
                self._killed.discard(child.name)
                child.start()

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
