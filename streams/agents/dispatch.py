"""Dispatch: sends the commands that the log of decisions holds, in order, and nothing else.

It keeps no state: each command carries the offset of its decision in a header, so the last record of the commands'
topic says where to go on. What a crash or a second owner sends again is equal byte by byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from streams import telemetry
from streams.agents.reading import Chain, decision_of
from streams.codec import decode_command, encode
from streams.core import tracing
from streams.core.errors import InputError, InvariantError
from streams.core.events import Command, Decision
from streams.core.fold import check_not_newer
from streams.core.kinds import SENDING_KINDS
from streams.ports import Log, Outgoing, Record, TopicPartition
from streams.topics import Topics

DECISIONS_OFFSET: Final = "decisions_offset"
"""Header of a command: the offset of its decision, in ASCII digits."""


class _Sent(NamedTuple):
    """The command that was sent last: its number, and the offset of its decision; -1 before the first."""

    seq: int
    decisions_offset: int


class DispatchEngine:
    """The stage; see ``streams.ports.Engine``."""

    def __init__(self, log: Log, topics: Topics) -> None:
        self._log = log
        self._topics = topics
        self._decisions = TopicPartition(topics.decisions, 0)
        self._commands = TopicPartition(topics.commands, 0)
        self._chain: Chain | None = None
        self._sent = _Sent(-1, -1)
        self._unknown = False

    async def load(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Go on with the decision of the last command that was sent, or with the first decision there is."""
        if self._decisions not in partitions:
            return {}
        self._chain = None
        self._sent = await self._last_sent()
        earliest, _ = await self._log.bounds(self._decisions)
        self._unknown = earliest > 0 and self._sent.seq < 0
        return {self._decisions: max(self._sent.decisions_offset, earliest)}

    async def process(self, batch: Sequence[tuple[TopicPartition, Sequence[Record]]]) -> None:
        """Send the commands among some decisions; when this returns, they are acknowledged."""
        out: list[Outgoing] = []
        sent: list[Command] = []
        for where, records in batch:
            for record in records if where == self._decisions else ():
                decision = self._sending(record)
                if decision is not None and (command := decision.command) is not None:
                    headers = _headers(decision, record.offset)
                    out.append(Outgoing(self._topics.commands, encode(command), command.host.encode(), 0, headers))
                    sent.append(command)
        if out:
            await self._log.append(out)
        for command in sent:
            telemetry.command_sent(command.strategy or command.kind)

    async def idle(self) -> None:
        """Do nothing: commands come from the log only."""

    async def _last_sent(self) -> _Sent:
        earliest, end = await self._log.bounds(self._commands)
        if earliest == end:
            return _Sent(-1, -1)
        last = (await self._log.read(self._commands, end - 1, end))[-1]
        headers = dict(last.headers)
        try:
            return _Sent(decode_command(last.value or b"").seq, int(headers[DECISIONS_OFFSET]))
        except (InputError, KeyError, ValueError) as error:
            raise InvariantError(f"{last.topic} offset {last.offset} is not a command of ours: {error}") from error

    def _sending(self, record: Record) -> Decision | None:
        """Return a decision whose command is to be sent; None when it has none, or it was sent before.

        Raises ``InvariantError`` when a decision or a command is missing, ``OtherEpochError`` at a newer epoch.
        """
        decision = decision_of(record)
        check_not_newer(decision.epoch)
        accepted = self._accept(decision, record.offset)
        command = decision.command
        if not accepted or command is None or decision.kind not in SENDING_KINDS or command.seq <= self._sent.seq:
            return None
        if command.previous_seq != self._sent.seq and not self._unknown:
            raise InvariantError(f"command {command.seq} follows {command.previous_seq}, but {self._sent.seq} was sent")
        self._sent, self._unknown = _Sent(command.seq, record.offset), False
        return decision

    def _accept(self, decision: Decision, offset: int) -> bool:
        """Take a decision into account. The first one of a load was accepted before, unless it is the log's first."""
        if self._chain is None:
            if offset > 0:
                self._chain = Chain.at(decision, offset)
                return True
            self._chain = Chain()
        return self._chain.take(decision, offset)


def _headers(decision: Decision, offset: int) -> tuple[tuple[str, bytes], ...]:
    """Return the headers of a decision's command: where the decision stands, and the trace that led to it."""
    place = (DECISIONS_OFFSET, str(offset).encode())
    return (place, (tracing.HEADER, decision.trace.encode())) if decision.trace else (place,)
