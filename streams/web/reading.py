"""What pages read from the event log."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any, Final, TypeVar

from msgspec import Struct

from analytics.tables import Row
from analytics.why import Explanation, Sent, Step
from streams.core.errors import InputError
from streams.web.history import History
from streams.web.problems import WebError
from streams.web.shown import figure, is_chosen, words

A = TypeVar("A")
PAGE: Final = 50
_INCIDENT: Final = """
    SELECT id, service, host, pattern, category, severity, status, phase, attempts, actions, lines,
        coalesce(escalated_because, withheld_because, '') AS reason, healed_seconds,
        epoch_ms(opened_at) AS opened_ms, epoch_ms(closed_at) AS closed_ms, last_seq
    FROM incidents
"""
INCIDENTS: Final = f"""{_INCIDENT}
    WHERE closed_at IS NOT NULL AND contains(lower(service), lower($service)) AND $status IN ('', status)
        AND ($before = 0 OR last_seq < $before)
    ORDER BY last_seq DESC LIMIT {PAGE}
"""
INCIDENT: Final = f"{_INCIDENT} WHERE id = $id"
VOTES: Final = """
    SELECT agent_name AS advisor, coalesce(suggested_fix, '') AS action, vote, coalesce(because, '') AS because,
        confidence, stated_confidence, coalesce(diagnosis, '') AS diagnosis, coalesce(model, '') AS model, phase
    FROM agent_consultations WHERE incident = $incident ORDER BY id
"""
NOTES: Final = """
    SELECT step, author, if(assignee <> '', concat_ws(': ', assignee, nullif(reason, '')),
        concat_ws(': ', nullif(method, ''), nullif(reason, ''))) AS text, message_append_ms AS at_ms
    FROM segments.answers WHERE escalation_id = $id ORDER BY facts_offset, ordinal
"""
VALUES: Final = """
    SELECT service, one.name AS metric, at_ms, one.value AS value
    FROM (
        SELECT service, epoch_ms(happened_at) AS at_ms, unnest(figures) AS one
        FROM decisions WHERE kind = 'assessed' AND list_contains($services, service)
        QUALIFY row_number() OVER (PARTITION BY service ORDER BY seq DESC) <= 60
    )
    ORDER BY at_ms
"""
"""The newest 60 minutes of each service."""


async def page(history: History, sql: str, **wanted: Any) -> tuple[list[Row], str]:
    """Return rows; or none, and in a sentence why."""
    return await tried(history.rows(sql, **wanted))


async def tried(question: Awaitable[list[A]]) -> tuple[list[A], str]:
    """Return what a question comes to; or nothing, and in a sentence why."""
    try:
        return await question, ""
    except WebError as error:
        return [], f"{error.detail[:1].upper()}{error.detail[1:]}."
    except InputError as error:
        return [], f"The event log can't be read: {error}."


def commands(explanation: Explanation) -> list[Sent]:
    """Return the commands that were sent for an incident, the first one first."""
    return [step.command for step in _all(explanation.steps) if step.command and step.kind == "commanded"]


class NotDone(Struct, frozen=True):
    """Something that could have been done, and why it was not."""

    what: str
    because: str


def not_done(explanation: Explanation) -> list[NotDone]:
    """Return what a chain of decisions left undone: rejected options, and what gates held back."""
    found: dict[NotDone, None] = {}
    for step in _all(explanation.steps):
        for option in step.options:
            if is_chosen(option, step):
                continue
            barred = f"barred by {words(option.barred)}" if option.barred else f"scored {figure(option.score)}"
            found[NotDone(option.action, barred)] = None
        for gate in step.gates:
            if not gate.passed:
                limit = f"gate {words(gate.name)} said no: {figure(gate.value)} of {figure(gate.limit)}"
                found[NotDone(step.command.action if step.command else step.strategy or "acting", limit)] = None
    return list(found)


def _all(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _all(step.then)
