"""Phases in SQL: where each incident was and for how long, and what each phase is worth."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from analytics.views import EventLog
from streams.core.config import Policy, canonical, sha256
from streams.core.events import ConfigApplied
from tests.analytics.archive import archive
from tests.analytics.history import History


async def told(directory: Path) -> EventLog:
    """Return the log of three incidents: healed by the first attempt, by the second, and given to a person."""
    history = History()
    history.begin()
    body = canonical(Policy(coordination=False, cooldown_ms=2_000, exploration_rate=0.0, blast_radius_share=1.0))
    history.say(ConfigApplied(kind="policy", sha256=sha256(body), author="ann", body=body))
    history.heal("shop")
    history.see("cart", "process_crash")
    history.outcome(history.commands[-1], ok=False)
    history.calm("cart", 10)
    history.outcome(history.commands[-1])
    history.calm("cart", 200)
    history.see("mail", "out_of_memory")
    for _ in range(3):
        history.outcome(history.commands[-1], ok=False)
        history.calm("mail", 30)
    await archive(history, directory)
    return EventLog(directory)


async def test_a_phase_is_a_row(tmp_path: Path) -> None:
    """Each phase of an incident has its attempt and how it ended; the last is open while the person is asked."""
    with await told(tmp_path) as log:
        rows = log.query("SELECT service, phase, attempts, ended_as FROM phases ORDER BY first_seq").rows()
    assert rows == [
        ("shop", 1, 1, "healed"),
        ("cart", 1, 1, "failed"),
        ("cart", 2, 1, "healed"),
        ("mail", 1, 1, "failed"),
        ("mail", 2, 1, "failed"),
        ("mail", 3, 1, "failed"),
        ("mail", 4, 0, None),
    ]


async def test_a_phase_ends_where_the_next_begins(tmp_path: Path) -> None:
    """Phases of an incident join without a gap; their clocks ran no longer than they lasted."""
    with await told(tmp_path) as log:
        rows = log.query("FROM phases WHERE service = 'mail' ORDER BY phase").to_dicts()
    for before, after in pairwise(rows):
        assert before["left_at"] == after["entered_at"]
        assert 0 <= before["clock_seconds"] <= before["seconds"]
    assert (rows[0]["because"], rows[1]["because"]) == (None, "2: after a failed attempt, no advisor")
    assert (rows[3]["left_at"], rows[3]["clock_seconds"]) == (None, None)


async def test_an_incident_tells_its_phase(tmp_path: Path) -> None:
    """The row of an incident has the phase that healed it, or the one that it is in."""
    with await told(tmp_path) as log:
        rows = log.query("SELECT service, status, phase FROM incidents ORDER BY first_seq").rows()
    assert rows == [("shop", "healed", 1), ("cart", "healed", 2), ("mail", "escalated", 4)]


async def test_statistics_count_what_each_phase_solved(tmp_path: Path) -> None:
    """One of three incidents was solved by phase 1, one by phase 2, one is a person's; the shares add up to 1."""
    with await told(tmp_path) as log:
        rows = log.query("SELECT phase, help, incidents, attempts, healed, success_rate, share FROM phase_statistics")
    assert [row[:6] for row in rows.rows()] == [
        (1, "quick fix", 3, 3, 1, 0.3333),
        (2, "one advisor", 2, 2, 1, 0.5),
        (3, "consensus", 1, 1, 0, 0.0),
        (4, "person", 1, 0, 0, None),
    ]
    assert rows["share"].sum() == pytest.approx(1.0, abs=1e-3)
