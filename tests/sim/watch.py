"""Looks at each record as it lands, so that a broken promise is seen at the moment at which it is broken."""

from __future__ import annotations

from streams.agents.dispatch import DECISIONS_OFFSET
from streams.agents.reading import Chain
from streams.codec import decode_decision, encode
from streams.core.errors import InputError, InvariantError
from streams.core.events import Decision
from streams.ports import Record
from tests.sim.kernel import World
from tests.sim.scene import TOPICS


class Watch:
    """Decisions continue the chain, and commands come after their decisions and as these say."""

    def __init__(self, world: World) -> None:
        self.decisions: list[Decision] = []
        """First occurrences, by number."""
        self._world = world
        self._chain = Chain()
        self._at: dict[int, Decision] = {}

    def landed(self, record: Record) -> None:
        """Judge a record."""
        try:
            if record.topic == TOPICS.decisions:
                decision = decode_decision(record.value or b"")
                self._at[record.offset] = decision
                if self._chain.take(decision, record.offset):
                    self.decisions.append(decision)
            elif record.topic == TOPICS.commands:
                self._command(record)
        except (InputError, InvariantError) as error:
            self._world.violated(f"{record.topic} offset {record.offset}: {error}")

    def _command(self, record: Record) -> None:
        header = dict(record.headers).get(DECISIONS_OFFSET, b"")
        decision = self._at.get(int(header or -1))
        if decision is None:
            self._world.violated(f"command {record.offset} was sent before its decision was in the log")
        elif decision.command is None or encode(decision.command) != record.value:
            self._world.violated(f"command {record.offset} is not what its decision says")
