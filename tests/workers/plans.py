"""What a plan does with a pool: it calls specialists, has them look, and lets them go."""

from __future__ import annotations

from typing import Any

import psutil

from streams.core.events import Command
from streams.core.inventory import ServiceSpec
from streams.core.reports import FindingReported, SpecialistReported
from tests.workers.fleet import Fleet
from tests.workers.kit import TOPICS

NAME = "database-optimizer-001"
PLAN = "1-5-0"
ASKED = {
    "specialist": NAME,
    "part": "primary",
    "way": "parallel",
    "plan": PLAN,
    "cpu": "0.5",
    "memory_mb": "128",
    "bandwidth_mbps": "20",
    "keep_ms": "60000",
}


class Plans:
    """Plans for one service of a fleet."""

    def __init__(self, fleet: Fleet, spec: ServiceSpec) -> None:
        self._fleet = fleet
        self.spec = spec

    def call(self, expires_ms: int = 0, **arguments: str) -> Command:
        """Ask for a specialist."""
        late = {"expires_ms": expires_ms} if expires_ms else {}
        given = {**ASKED, **arguments}
        return self._fleet.ask(
            self.spec, "specialist.spawn", kind="spawn", strategy="", repeatable=True, arguments=given, **late
        )

    def release(self, name: str = NAME, plan: str = PLAN) -> Command:
        """Let a specialist go."""
        given = {"specialist": name, "plan": plan}
        return self._fleet.ask(self.spec, "specialist.release", kind="release", repeatable=True, arguments=given)

    def look(self, topic: str, name: str = NAME) -> Command:
        """Have somebody look at a topic."""
        given = {"topic": topic, **({"specialist": name} if name else {})}
        return self.look_as("look", arguments=given)

    def look_as(self, verb: str, **fields: Any) -> Command:
        """Have something looked at."""
        return self._fleet.ask(self.spec, f"{self.spec.type}.{verb}", kind="look", **fields)

    def reports(self, name: str = NAME, plan: str = "") -> list[SpecialistReported]:
        """Return what was reported of a specialist, of one plan if one is given."""
        events = self._fleet.log.events(TOPICS.inbox_workers)
        mine = [one for one in events if isinstance(one, SpecialistReported) and one.specialist == name]
        return [one for one in mine if not plan or one.plan == plan]

    def states(self, name: str = NAME, plan: str = "") -> list[tuple[str, str]]:
        """Return the states that were reported of a specialist, each with its code."""
        return [(one.state, one.code) for one in self.reports(name, plan)]

    def findings(self, command: Command) -> list[FindingReported]:
        """Return what a command found."""
        events = self._fleet.log.events(TOPICS.inbox_workers)
        return [one for one in events if isinstance(one, FindingReported) and one.command_id == command.id]

    def processes(self, role: str = "database-optimizer") -> list[psutil.Process]:
        """Return the processes of the specialists of a kind."""
        return self._fleet.workers(role)
