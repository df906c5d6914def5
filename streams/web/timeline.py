"""The timeline of decisions: the newest from memory, those before them from the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from streams.core.events import Decision
from streams.web.history import NoLogError

if TYPE_CHECKING:
    from streams.web.app import Deps


class Entry(Struct, frozen=True, kw_only=True):
    """A decision in the timeline; `id` can be asked why. Times are milliseconds since 1970 UTC."""

    seq: int
    id: str
    kind: str
    reason: str
    incident: str
    service: str
    host: str
    pattern: str
    category: str
    severity: str
    lines: int
    confidence: float
    strategy: str
    action: str
    refers_to: str
    at_ms: int
    append_ms: int


class Filter(Struct, frozen=True, kw_only=True):
    """What is asked for; ``""`` and ``()`` let everything through. ``before`` is a number of a decision."""

    before: int
    kinds: tuple[str, ...] = ()
    service: str = ""
    incident: str = ""
    pattern: str = ""
    severity: str = ""

    def holds(self, entry: Entry) -> bool:
        """Say whether a decision is one of those."""
        return (
            entry.seq < self.before
            and (not self.kinds or entry.kind in self.kinds)
            and all(getattr(self, name) in {"", getattr(entry, name)} for name in _WORDS)
        )


_WORDS = ("service", "incident", "pattern", "severity")
_SQL = """
    SELECT seq, id, kind, reason, incident, service, host, pattern, category, severity, count AS lines, confidence,
        strategy, coalesce(command.action, '') AS action, refers_to, at_ms, append_ms
    FROM segments.decisions
    WHERE seq < $before
        AND (len($kinds) = 0 OR list_contains($kinds, kind))
        AND ($service = '' OR service = $service)
        AND ($incident = '' OR incident = $incident)
        AND ($pattern = '' OR pattern = $pattern)
        AND ($severity = '' OR severity = $severity)
    ORDER BY seq DESC LIMIT $limit
"""


async def page(deps: Deps, wanted: Filter, limit: int) -> list[Entry]:
    """Return up to ``limit`` decisions, the newest first.

    Raises ``WebError`` 503 when there are no files and memory does not reach as far back as is asked.
    """
    newest = deps.model.recent()
    found = [entry for entry in reversed(newest) if wanted.holds(entry)][:limit]
    oldest = newest[0].seq if newest else wanted.before
    if len(found) == limit or oldest == 0:
        return found
    before = min(wanted.before, oldest)
    rest: dict[str, Any] = {**msgspec.structs.asdict(wanted), "kinds": list(wanted.kinds), "before": before}
    try:
        rows = await deps.history.rows(_SQL, **rest, limit=limit - len(found))
    except NoLogError:
        if found or newest:
            return found
        raise
    return found + msgspec.convert(rows, list[Entry])


def entry_of(decision: Decision) -> Entry:
    """Return how a decision is shown."""
    return Entry(
        seq=decision.seq,
        id=decision.id,
        kind=decision.kind,
        reason=decision.reason,
        incident=decision.incident,
        service=decision.service,
        host=decision.host,
        pattern=decision.pattern,
        category=decision.category,
        severity=decision.severity,
        lines=decision.count,
        confidence=decision.confidence,
        strategy=decision.strategy,
        action=decision.command.action if decision.command else "",
        refers_to=decision.refers_to,
        at_ms=decision.at_ms,
        append_ms=decision.append_ms,
    )
