"""What the event log says of a mix of faults: phases, escalations, advisors' opinions and times; and its claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from analytics.views import EventLog
from lab.scenarios.frame import Claim

CLAIMED: Final = {1: "60%", 2: "25%", 3: "10%", 4: "5%"}
"""Shares by phase that are claimed of such a system (SPEC C4); reported beside ours, no claim of ours."""
PASS_MINUTES_MAX: Final = 10.0
RESOLUTION_MINUTES_MAX: Final = 5.0
RECOVERY_MINUTES_MAX: Final = 2.1
CALLS_SHARE_MAX: Final = 0.2
"""Of one call for each incident (SPEC H5)."""


class Phase(Struct, frozen=True, kw_only=True):
    """One row of the view ``phase_statistics``; ``share`` is of all incidents that were healed or given to a person."""

    phase: int
    help: str
    incidents: int
    attempts: int
    healed: int
    share: float | None
    healed_seconds: float | None


class Escalated(Struct, frozen=True, kw_only=True):
    """One row of the view ``escalations``, with the votes about it, and the line that its incident began with."""

    id: int
    issue_service: str
    issue_type: str
    issue_message: str
    lines: int
    ai_diagnosis: str
    ai_attempts_count: int
    recommended_action: str | None
    status: str
    votes: tuple[str, ...]

    @property
    def evidence(self) -> str:
        """How many lines there are of it, and the first."""
        return f"{self.lines} lines: {self.issue_message}" if self.lines else ""

    @property
    def complete(self) -> bool:
        """Whether it has evidence, a vote of all three advisors, and a recommendation."""
        return bool(self.lines and self.issue_message and len(self.votes) >= 3 and self.recommended_action)


class Round(Struct, frozen=True, kw_only=True):
    """One time that the mix was played. ``calls`` of the model are those that it did not answer well too."""

    number: int
    incidents: int
    by_research: int
    calls: int

    @property
    def share(self) -> float:
        """Calls per incident."""
        return self.calls / max(self.incidents, 1)


class Times(Struct, frozen=True, kw_only=True):
    """Minutes: the longest way of an incident through phases 1 to 3, and the mean from opening to closing when healed.

    ``recovery`` is the mean from opening to the end of the action that helped. None where nothing was healed.
    """

    passing: float | None
    resolution: float | None
    recovery: float | None


def phases(log: EventLog) -> tuple[Phase, ...]:
    """Return the view ``phase_statistics``, over the whole event log."""
    columns = ", ".join(Phase.__struct_fields__)
    return tuple(msgspec.convert(log.query(f"SELECT {columns} FROM phase_statistics").to_dicts(), list[Phase]))


def passed(log: EventLog, seq: int) -> dict[str, int]:
    """Return the phase that each incident since ``seq`` ended in, by id."""
    return dict(log.query("SELECT id, phase FROM incidents WHERE first_seq >= $seq", {"seq": seq}).rows())


def round_of(log: EventLog, number: int, begin: int, end: int | None) -> Round:
    """Return a round of decisions ``begin`` to before ``end`` (None: all that follow)."""
    span = "BETWEEN $begin AND coalesce($end, 9223372036854775807) - 1"
    sql = f"""
        SELECT
            (SELECT count(*) FROM incidents WHERE first_seq {span} AND status <> 'merged') AS incidents,
            count(*) FILTER (source = 'research') AS by_research,
            count(*) FILTER (source IN ('model', 'none')) AS calls
        FROM agent_consultations WHERE id {span}
    """
    (row,) = log.query(sql, {"begin": begin, "end": end}).to_dicts()
    return msgspec.convert({"number": number, **row}, Round)


def escalated(log: EventLog, seq: int) -> tuple[Escalated, ...]:
    """Return the escalations since ``seq``, in order."""
    sql = """
        WITH voices AS (
            SELECT
                escalation_id,
                list(concat(agent_name, ' ', vote, coalesce(' ' || suggested_fix, '')) ORDER BY id) AS votes
            FROM agent_consultations
            WHERE phase = 3
            GROUP BY escalation_id
        )
        SELECT e.id, issue_service, issue_type, issue_message, i.lines, ai_diagnosis, ai_attempts_count,
            recommended_action, e.status, coalesce(votes, []) AS votes
        FROM escalations AS e JOIN incidents AS i ON i.id = e.incident LEFT JOIN voices ON voices.escalation_id = e.id
        WHERE e.id >= $seq ORDER BY e.id
    """
    return tuple(msgspec.convert(log.query(sql, {"seq": seq}).to_dicts(), list[Escalated]))


def times(log: EventLog, seq: int) -> Times:
    """Return how long the incidents since ``seq`` took."""
    sql = """
        WITH ours AS (SELECT id, healed_seconds FROM incidents WHERE first_seq >= $seq AND status <> 'merged'),
        ways AS (
            SELECT phases.incident, sum(seconds) AS seconds
            FROM phases JOIN ours ON ours.id = phases.incident WHERE phase <= 3 GROUP BY phases.incident
        ),
        acts AS (
            SELECT d.incident, max(o.finished_at) AS at
            FROM outcomes AS o JOIN decisions AS d ON d.id = o.command AND d.kind = 'commanded'
            GROUP BY d.incident
        ),
        opened AS (
            SELECT incident, min(recorded_at) AS at FROM decisions WHERE kind = 'incident_opened' GROUP BY incident
        )
        SELECT (SELECT max(seconds) / 60 FROM ways) AS passing, avg(healed_seconds) / 60 AS resolution,
            avg(epoch_ms(acts.at - opened.at) / 60000) FILTER (healed_seconds IS NOT NULL) AS recovery
        FROM ours LEFT JOIN acts ON acts.incident = ours.id LEFT JOIN opened ON opened.incident = ours.id
    """
    (row,) = log.query(sql, {"seq": seq}).to_dicts()
    return msgspec.convert(row, Times)


class Verdict(Struct, frozen=True, kw_only=True):
    """What of a fault the claims are about."""

    level: str
    component: str
    healed: bool
    asked: bool
    """Whether its incident came to a person."""


def claims(verdicts: Sequence[Verdict], found: Sequence[Escalated], took: Times, last: Round) -> tuple[Claim, ...]:
    """Return what a mix must bear out."""
    solvable = [one for one in verdicts if one.level != "unsolvable"]
    hopeless = [one for one in verdicts if one.level == "unsolvable"]
    well = sum(one.healed and not one.asked for one in solvable)
    wanted = Counter(one.component for one in hopeless)
    given = Counter(one.issue_service for one in found)
    return (
        Claim(
            says="every fault that an action helps against is healed and verified, without a person",
            found=f"{well} of {len(solvable)}",
            holds=bool(solvable) and well == len(solvable),
        ),
        Claim(
            says="each of the others is one escalation, and there is no further one",
            found=_named(given),
            holds=bool(hopeless) and given == wanted and not any(one.healed for one in hopeless),
        ),
        Claim(
            says="each escalation has its evidence, the votes of three advisors, and a recommendation",
            found=f"{sum(one.complete for one in found)} of {len(found)}",
            holds=bool(found) and all(one.complete for one in found),
        ),
        Claim(
            says=f"with a past, {1 - CALLS_SHARE_MAX:.0%} fewer calls of the model than one per incident",
            found=f"{last.calls} calls, {last.incidents} incidents in round {last.number}",
            holds=last.incidents > 0 and last.share <= CALLS_SHARE_MAX,
        ),
        _shorter("the longest way through phases 1 to 3", took.passing, PASS_MINUTES_MAX),
        _shorter("from opening to healed, on average", took.resolution, RESOLUTION_MINUTES_MAX),
        _shorter("from opening to the end of the action that helped, on average", took.recovery, RECOVERY_MINUTES_MAX),
    )


def _named(given: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in given.items()) or "none"


def _shorter(what: str, minutes: float | None, most: float) -> Claim:
    return Claim(
        says=f"{what}: under {most:g} min",
        found="-" if minutes is None else f"{minutes:.2f} min",
        holds=minutes is not None and minutes < most,
    )
