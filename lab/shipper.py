"""A log shipper: follows files and appends each new line to a topic, at least once.

A line counts as shipped when Kafka has acknowledged it; only then is the file's position kept, so that a shipper that
died goes on from there and at worst repeats the last batch.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from aiokafka.partitioner import murmur2

from streams.ports import Log, Outgoing

POLL_S: Final = 0.1
BATCH_BYTES_MAX: Final = 1024 * 1024


def outgoing(topic: str, partitions: int, service: str, lines: Sequence[bytes]) -> list[Outgoing]:
    """Return a service's lines as records: one partition for each service, so that its lines keep their order."""
    key = service.encode()
    partition = (murmur2(key) & 0x7FFFFFFF) % partitions  # where Kafka's own clients would put it
    return [Outgoing(topic, line, key, partition, (("service", key),)) for line in lines]


class Shipper:
    """Follows one file for each service. ``position_file`` remembers how far each has been shipped."""

    def __init__(self, log: Log, topic: str, partitions: int, sources: Mapping[str, Path], position_file: Path) -> None:
        self._log = log
        self._topic = topic
        self._partitions = partitions
        self._sources = sources
        self._position_file = position_file
        self._positions: dict[str, int] = _read_positions(position_file)
        self.lines = 0
        """Lines shipped by this object."""

    async def run(self) -> None:
        """Ship until cancelled, looking at each file ten times a second."""
        while True:
            await self.ship()
            await asyncio.sleep(POLL_S)

    async def ship(self) -> int:
        """Ship what is whole and new in every file; return the number of lines."""
        records: list[Outgoing] = []
        positions = dict(self._positions)
        for service, path in self._sources.items():
            lines, positions[service] = _new_lines(path, positions.get(service, 0))
            records += outgoing(self._topic, self._partitions, service, lines)
        if records:
            await self._log.append(records)
            self._positions = positions
            _write_positions(self._position_file, positions)
            self.lines += len(records)
        return len(records)


def _new_lines(path: Path, position: int) -> tuple[list[bytes], int]:
    """Return the whole lines after ``position`` and the position after them; a file that shrank is read anew."""
    try:
        with path.open("rb") as file:
            start = position if position <= path.stat().st_size else 0
            file.seek(start)
            data = file.read(BATCH_BYTES_MAX)
    except FileNotFoundError:
        return [], 0
    whole = data.rfind(b"\n") + 1 or (len(data) if len(data) == BATCH_BYTES_MAX else 0)
    return [line for line in data[:whole].split(b"\n") if line], start + whole


def _read_positions(path: Path) -> dict[str, int]:
    try:
        return {str(service): int(position) for service, position in json.loads(path.read_bytes()).items()}
    except (FileNotFoundError, ValueError):
        return {}


def _write_positions(path: Path, positions: Mapping[str, int]) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(positions), "utf-8")
    beside.replace(path)
