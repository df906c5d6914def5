"""What the scenarios claim can be wrong: each claim fails where what it says did not happen."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from lab import furnish
from lab.faults.limits import Sessions
from lab.scenarios import pool_exhaustion
from lab.scenarios.flapping import POLICY, Attempt, claims_of_attempts
from lab.scenarios.pool_exhaustion import Break, let_all_go, looks_come_first, see_it_heal
from lab.site import DB, Site
from lab.watch import Watch
from streams.core.config import Inventory
from streams.core.events import Decision
from tests.analytics.memory_log import MemoryLog
from tests.core.world import World, spec


def attempts(*gaps: float) -> tuple[Attempt, ...]:
    """Return three attempts, so many seconds apart."""
    return tuple(
        Attempt(
            attempt=number + 1,
            incident=min(number + 1, 2),
            action="process.restart",
            since_previous_seconds=gap or None,
            cooldown_seconds=POLICY.cooldown_ms * POLICY.cooldown_factor**number / 1000,
            put_off=number > 0,
            became="verified",
        )
        for number, gap in enumerate((0.0, *gaps))
    )


@pytest.mark.parametrize(
    ("gaps", "doubles"),
    [((9.2, 18.3), True), ((9.2, 9.3), False), ((8.9, 18.3), False), ((9.2, 60.0), False), ((9.2,), False)],
)
def test_a_back_off_that_does_not_double_fails_the_claim(gaps: tuple[float, ...], *, doubles: bool) -> None:
    """Too early, too late, the same again or an attempt too few: that is no back-off that doubles."""
    assert claims_of_attempts(attempts(*gaps), 4)[1].holds is doubles


def course(*kinds: str) -> list[Decision]:
    """Return decisions of these kinds in order; an end is that of the first look."""
    world = World()
    world.apply("inventory", Inventory(services=(spec("a"),)))
    made = world.detect("a", "process_crash")[0]
    return [
        replace(made, seq=number, id=str(number), kind=kind, reason="process by coder", refers_to="0")
        for number, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize(
    ("kinds", "first"),
    [
        (("looked", "command_ended", "commanded"), True),
        (("looked", "commanded", "command_ended"), False),
        (("looked", "command_ended", "commanded", "looked"), False),
        (("looked", "command_ended"), False),
        (("commanded",), False),
    ],
)
def test_an_action_that_waits_for_no_look_fails_the_claim(kinds: tuple[str, ...], *, first: bool) -> None:
    """A look without an answer by then, one after the action, no action or no look at all: none came first."""
    assert looks_come_first(course(*kinds)) is first


def test_the_check_of_an_action_may_come_after_it() -> None:
    """The one look that belongs after the action is the one at what it did."""
    decided = course("looked", "command_ended", "commanded", "looked")
    assert looks_come_first([*decided[:-1], replace(decided[-1], reason="verify by critic")])


class Told(Watch):
    """A watch that has been told some decisions."""

    def __init__(self, decisions: list[Decision]) -> None:
        super().__init__(MemoryLog(), "decisions")
        self.decisions = decisions


class AsUsed(Sessions):
    """A fault of which customers see one thing after the other; the last stays."""

    def __init__(self, site: Site, *seen: bool) -> None:
        super().__init__(site)
        self._seen = list(seen)

    def is_healthy(self) -> bool:
        """Say what is seen next."""
        return self._seen.pop(0) if len(self._seen) > 1 else self._seen[0]


@pytest.mark.parametrize(("seen", "again"), [((True,), False), ((False,), False), ((False, True), True)])
async def test_customers_who_were_always_served_are_not_served_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: tuple[bool, ...], *, again: bool
) -> None:
    """Works again: only what was seen not to work; and what never works does not either."""
    monkeypatch.setattr(pool_exhaustion, "HEALED_S", 0.5)
    decided = [replace(one, seq=number + 1, service=DB) for number, one in enumerate(course("commanded"))]
    found = Break(injected_ms=1, after_seq=0)
    await see_it_heal(Told(decided), AsUsed(furnish.create(tmp_path, "h", ()), *seen), found)
    assert (found.works_again_ms > 0) is again


def test_specialists_that_were_never_called_were_not_let_go() -> None:
    """Where there was nobody, nobody was released."""
    assert not let_all_go([])
