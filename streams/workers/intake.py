"""Reading the commands topic so that nothing is missed and nothing is taken twice.

Every reader reads the commands of all hosts: each names the seq of the one before it, so a hole shows at once. Repeats
(a second dispatcher writes the same bytes) have a seq that was seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.errors import OffsetOutOfRangeError

from streams import telemetry
from streams.codec import decode_command
from streams.core.errors import InputError, InvariantError
from streams.core.events import Command
from streams.core.tracing import traceparent
from streams.ports import PolledLog, Record, TopicPartition
from streams.workers.journal import CHAIN_UNKNOWN, Entry, Journal, Position

NOTHING_BEFORE = -1
TRACES_MAX = 1_000
"""Of commands that wait here, and some that were turned down."""


class Intake:
    """Moves commands of one host from the topic into its journal."""

    def __init__(self, log: PolledLog, topic: str, journal: Journal, host: str) -> None:
        self._log = log
        self._where = TopicPartition(topic, 0)
        self._journal = journal
        self._host = host
        self._traces: dict[str, str] = {}

    async def begin(self) -> None:
        """Give a new journal its place: it reads from the beginning, and remembers where the topic ended."""
        if self._journal.position() is None:
            earliest, end = await self._log.bounds(self._where)
            self._journal.begin(Position(earliest, CHAIN_UNKNOWN if earliest else NOTHING_BEFORE, end))

    async def take(self) -> list[Entry]:
        """Wait for new commands, 250 ms at most; return this host's, which are in the journal now.

        Raises ``InvariantError`` when a command is missing or the topic is shorter than what was read of it.
        """
        position = self._journal.position()
        if position is None:
            raise InvariantError("the journal has no position")
        records = await self._new(position.next_offset)
        if not records:
            self._check_place(position, *await self._log.bounds(self._where))
            return []
        commands, last_seq = self._sort(records, position.last_seq)
        return self._journal.receive(commands, records[-1].offset + 1, last_seq)

    async def _new(self, offset: int) -> Sequence[Record]:
        try:
            batch = await self._log.poll({self._where: offset})
        except OffsetOutOfRangeError:
            return ()
        return [record for _, records in batch for record in records]

    def _check_place(self, position: Position, earliest: int, end: int) -> None:
        """Go on after what was deleted before it was read; a topic that was cut is another matter."""
        if end < position.next_offset:
            problem = f"commands end at {end}, but {position.next_offset} was read: logmend topics accept-reset"
            telemetry.log_broken("workers", problem)
            raise InvariantError(problem)
        if earliest > position.next_offset:
            telemetry.handled("commands", f"retention deleted {position.next_offset} to {earliest}: all expired")
            self._journal.begin(position._replace(next_offset=earliest, last_seq=CHAIN_UNKNOWN))

    def _sort(self, records: Sequence[Record], last_seq: int) -> tuple[list[tuple[int, Command]], int]:
        """Return this host's new commands with their offsets, and the last seq of all hosts."""
        ours = []
        for record in records:
            command = _decode(record)
            if command is None or command.seq <= last_seq:
                continue
            if last_seq not in {CHAIN_UNKNOWN, command.previous_seq}:
                problem = f"command {command.seq} follows {command.previous_seq}, but {last_seq} was the last one read"
                telemetry.log_broken("workers", problem)
                raise InvariantError(problem)
            last_seq = command.seq
            if command.host == self._host:
                ours.append((record.offset, command))
                self._note(command.id, traceparent(record.headers))
        return ours, last_seq

    def _note(self, command_id: str, trace: str) -> None:
        if trace:
            while len(self._traces) >= TRACES_MAX:
                del self._traces[next(iter(self._traces))]
            self._traces[command_id] = trace

    def trace_of(self, command_id: str) -> str:
        """Return the traceparent that a command came with, once; a pool that was started anew has forgotten it."""
        return self._traces.pop(command_id, "")


def _decode(record: Record) -> Command | None:
    """Return the command of a record; None for what is none (the chain shows whether it should have been one)."""
    try:
        return decode_command(record.value or b"")
    except InputError as error:
        telemetry.handled("commands", f"offset {record.offset}: {error}")
        return None
