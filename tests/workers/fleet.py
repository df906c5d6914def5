"""A host with its manager, seen from outside: commands in, outcomes and effects out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from streams.catalogue import teams
from streams.codec import encode
from streams.core.beside import Heartbeat
from streams.core.events import Command, OutcomeReported
from streams.core.inventory import ServiceSpec
from streams.ports import Outgoing
from streams.workers.roles import SPARE
from tests.workers.kit import TOPICS, FileLog, FileView, command, until

SHOWN_LETTERS = 15
"""Of the name of a process, in /proc."""


class Fleet:
    """A host. Its log and its view of the facts are files below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = FileLog(root / "topics")
        self.view = FileView(root)
        self.view.write()
        self.managers: list[subprocess.Popen[bytes]] = []
        self.last_seq = -1

    def manage(self, *points: str, ahead_ms: int = 0) -> subprocess.Popen[bytes]:
        """Start a manager that dies at the given points."""
        with (self.root / "manager.log").open("ab") as log:
            manager = subprocess.Popen(
                [sys.executable, "-m", "tests.workers.manager", str(self.root), *points],
                env={**os.environ, "BROKER_AHEAD_MS": str(ahead_ms)},
                stderr=log,
            )
        self.managers.append(manager)
        return manager

    def send(self, command: Command) -> Command:
        """Append a command."""
        self.log.put(Outgoing(TOPICS.commands, encode(command), command.host.encode()))
        self.last_seq = max(self.last_seq, command.seq)
        return command

    def ask(self, spec: ServiceSpec, action: str, **fields: object) -> Command:
        """Append the next command in the chain."""
        return self.send(command(spec, action, self.last_seq + 1, self.last_seq, **fields))

    def outcome(self, command: Command) -> OutcomeReported:
        """Wait for a command's outcome; all that were told are the same."""
        until(lambda: command.id in self.log.outcomes(), f"an outcome of {command.id} ({self.logged()})")
        told = self.log.outcomes()[command.id]
        assert len(set(told)) == 1
        return told[0]

    def logged(self) -> str:
        """Return what the managers said."""
        return (self.root / "manager.log").read_text("utf-8")[-2_000:]

    def workers(self, role: str = "") -> list[psutil.Process]:
        """Return the workers (of a role, or specialists of a kind, or spares) of the newest manager."""
        children = psutil.Process(self.managers[-1].pid).children()
        return [child for child in children if (name := name_of(child)) and role in {"", name}]

    def heartbeats(self) -> list[Heartbeat]:
        """Return all heartbeats."""
        return [event for event in self.log.events(TOPICS.heartbeats) if isinstance(event, Heartbeat)]

    def end(self) -> None:
        """Kill all that is left."""
        for manager in self.managers:
            manager.kill()
            manager.wait()


def name_of(process: psutil.Process) -> str:
    """Return under which name a worker's process works; ``""`` when it is none, has just ended or has just begun."""
    try:
        words, called = process.cmdline(), Path(f"/proc/{process.pid}/comm").read_text("ascii").strip()
    except (psutil.Error, OSError):
        return ""
    if "streams.workers.worker" not in words or words[-1] != SPARE:
        return words[-1] if "streams.workers.worker" in words else ""
    names = (SPARE, *(row.name for row in teams().specialists))
    return next((name for name in names if name[:SHOWN_LETTERS] == called), "")
