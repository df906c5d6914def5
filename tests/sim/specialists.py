"""The specialists of a simulated pool: they come up, look, find something, die now and then, and are let go."""

from __future__ import annotations

from typing import Final

from streams.core.events import Command, InboxEvent
from streams.core.reports import FindingReported, SpecialistReported
from tests.sim.kernel import World
from tests.sim.scene import CATALOGUE

DIES: Final = 0.02
UNSAID: Final = 0.1
"""Share of reports that never come, as after a crash between a deed and its report."""
TWICE: Final = 0.1


class Specialists:
    """Who is there, by name; it is in the pool's journal, so it outlives the pool's process."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._plans: dict[str, str] = {}

    def restarted(self, clock_ms: int) -> list[InboxEvent]:
        """Return that all are lost: none outlives its pool."""
        plans, self._plans = self._plans, {}
        return [_report(name, plan, "failed", "pool_restarted", clock_ms) for name, plan in plans.items()]

    def die(self, clock_ms: int) -> list[InboxEvent]:
        """Let somebody die now and then."""
        dead = [name for name in self._plans if self._world.luck(DIES)]
        return [_report(name, self._plans.pop(name), "failed", "died", clock_ms) for name in dead]

    def carry_out(self, command: Command, clock_ms: int) -> list[InboxEvent]:
        """Return what is said about a spawn, a look or a release, in any order, some of it twice or never."""
        given = {one.name: one.value for one in command.arguments}
        said: list[InboxEvent] = []
        if command.kind == "spawn":
            name = given["specialist"]
            self._plans[name] = given["plan"]
            said = [_report(name, given["plan"], state, "", clock_ms) for state in ("spawned", "running", "waiting")]
        elif command.kind == "release":
            self._plans.pop(given["specialist"], None)
            said = [_report(given["specialist"], given["plan"], "released", "", clock_ms)]
        elif command.kind == "look":
            said = self._find(command, given.get("topic", "process"), clock_ms)
        said = [one for one in said if not self._world.luck(UNSAID)]
        said += [one for one in said if self._world.luck(TWICE)]
        self._world.random.shuffle(said)
        return said

    def _find(self, command: Command, topic: str, clock_ms: int) -> list[InboxEvent]:
        codes = [row.code for row in CATALOGUE.teams.findings if row.topic == topic]
        values = [self._world.random.choice((0.0, 1.0, 95.0, float("inf"))) for _ in codes]
        return [
            FindingReported(
                command_id=command.id,
                host=command.host,
                service=command.service,
                worker="w",
                code=code,
                value=value,
                at_ms=clock_ms,
            )
            for code, value in zip([*codes, "no_such_code"], [*values, 1.0], strict=True)
        ]


def _report(name: str, plan: str, state: str, code: str, clock_ms: int) -> SpecialistReported:
    return SpecialistReported(
        host="h1", specialist=name, plan=plan, state=state, code=code, at_ms=clock_ms, cpu_ms=0, memory_kb=0
    )
