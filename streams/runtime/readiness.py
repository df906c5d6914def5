"""How a process says that it is ready: a file in the data directory with its pid."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec import json as msgspec_json

from streams.ports import Engine, Record, TopicPartition
from streams.runtime.address import created, is_alive, write_whole
from streams.runtime.resident import keep

NAME_VARIABLE: Final = "LOGMEND_PROCESS"
"""The supervisor gives each process its name here; one that nobody supervises has none, and writes nothing."""


class Process(Struct, frozen=True):
    """A process, by pid and creation time in seconds since 1970."""

    pid: int
    created: float

    @property
    def alive(self) -> bool:
        """Whether this very process runs."""
        return is_alive(self.pid, self.created)


def ready_file(data_dir: Path, name: str) -> Path:
    """Return where process ``name`` says that it is ready."""
    return data_dir / "run" / f"{name}.json"


def ready(data_dir: Path) -> None:
    """Say that this process does its work from now on. Without a supervisor nothing happens."""
    name = os.environ.get(NAME_VARIABLE)
    if name:
        body = msgspec_json.encode(Process(os.getpid(), created(os.getpid())))
        write_whole(ready_file(data_dir, name), body)


def read_process(path: Path) -> Process | None:
    """Return the process that a file names; None when there is none."""
    try:
        return msgspec_json.decode(path.read_bytes(), type=Process)
    except (OSError, ValueError):
        return None


def gone(data_dir: Path) -> None:
    """Say that this process has ended as it was asked to; one that dies leaves its file, which names it."""
    name = os.environ.get(NAME_VARIABLE)
    if name:
        ready_file(data_dir, name).unlink(missing_ok=True)


def forget_dead(data_dir: Path) -> None:
    """Remove what processes left that died: those that run are started anew, and some may not be wanted any more."""
    for path in (data_dir / "run").glob("*.json"):
        process = read_process(path)
        if process is not None and not process.alive:
            path.unlink(missing_ok=True)


class Announcing:
    """An engine that says that its process is ready when it has taken its first partitions."""

    def __init__(self, engine: Engine, data_dir: Path) -> None:
        self._engine = engine
        self._data_dir = data_dir

    async def load(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """See ``ports.Engine.load``."""
        positions = await self._engine.load(partitions)
        keep()
        ready(self._data_dir)
        return positions

    async def process(self, batch: Sequence[tuple[TopicPartition, Sequence[Record]]]) -> None:
        """See ``ports.Engine.process``."""
        await self._engine.process(batch)

    async def idle(self) -> None:
        """See ``ports.Engine.idle``."""
        await self._engine.idle()
