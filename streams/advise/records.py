"""What the event log says of an incident, of its neighbours, and of incidents like it: SQL, and rows as our structs.

One ``Records`` belongs to one thread. Every question is bounded in time or by the incident, and in rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from analytics.views import EventLog
from streams.advise.dossier import HELPED, UNKNOWN, Fix, Symptom, Template, Tried, Trouble
from streams.advise.past import Step
from streams.core.events import SEVERITIES, Decision

AROUND_MS: Final = 600_000
"""How long before an incident's opening its neighbours' troubles, and lines, are looked for."""
PAST_MS: Final = 90 * 86_400_000
LINES_MAX: Final = 2_000
PAST_MAX: Final = 200
TROUBLES_MAX: Final = 64
MEMORY_MB: Final = 500
"""Of a query: ``logmend advise`` as a whole is slowed down from 768 MB on, and killed at 1 GB (systemd, Compose)."""

Mask = Callable[[str], str]
"""Text of a line to its template: redacted, and ``*`` in place of everything variable."""


class Records:
    """A reader of one event log. ``close`` it."""

    def __init__(self, directory: Path, mask: Mask) -> None:
        """Open the log. Raises ``InputError`` when it is damaged; one that is empty answers with nothing."""
        self._log = EventLog(directory, memory_mb=MEMORY_MB)
        self._mask = mask

    def close(self) -> None:
        """Let go of the log."""
        self._log.close()

    def reach(self, seq: int) -> bool:
        """Tell whether the log has got as far as the decision ``seq``."""
        return bool(self._ask("SELECT 1 AS there FROM segments.decisions WHERE seq >= $seq LIMIT 1", seq=seq))

    def opening(self, question: Decision) -> Mapping[str, Any] | None:
        """Return when the question's incident was opened (``at_ms``, ``now_ms``); None when that is not in the log."""
        rows = self._ask(
            """
            SELECT at_ms, now_ms FROM segments.decisions
            WHERE incident = $incident AND kind = 'incident_opened' ORDER BY seq LIMIT 1
            """,
            incident=question.incident,
        )
        return rows[0] if rows else None

    def inventory(self, sha256: str) -> bytes | None:
        """Return the body of the inventory with a hash; None when it is not in the log."""
        rows = self._ask(
            "SELECT body FROM segments.changes WHERE name = 'inventory' AND sha256 = $sha256 LIMIT 1", sha256=sha256
        )
        return bytes(rows[0]["body"]) if rows else None

    def symptoms(self, question: Decision, begin_ms: int) -> tuple[Symptom, ...]:
        """Return the patterns of the incident in the order in which they joined it; ``begin_ms`` is its opening."""
        rows = self._ask(
            """
            WITH joined AS (
                SELECT seq, at_ms,
                    CASE kind WHEN 'incident_opened' THEN service ELSE split_part(reason, ' ', 1) END AS service,
                    CASE kind WHEN 'incident_opened' THEN pattern ELSE split_part(reason, ' ', 2) END AS pattern
                FROM segments.decisions
                WHERE incident = $incident AND kind IN ('incident_opened', 'symptom_joined')
            ),
            counted AS (
                SELECT service, pattern, sum(count)::BIGINT AS lines FROM segments.detections
                WHERE at_last_ms >= $since AND at_first_ms <= $until GROUP BY ALL
            )
            SELECT service, pattern, min(at_ms) AS at_ms, coalesce(any_value(lines), 0) AS lines
            FROM joined LEFT JOIN counted USING (service, pattern)
            GROUP BY ALL ORDER BY min(seq) LIMIT 32
            """,
            incident=question.incident,
            since=begin_ms - AROUND_MS,
            until=max(question.at_ms, question.append_ms),
        )
        return tuple(
            Symptom(service=row["service"], pattern=row["pattern"], lines=row["lines"], seconds=_after(row, begin_ms))
            for row in rows
        )

    def tried(self, question: Decision) -> tuple[Tried, ...]:
        """Return the actions of the incident before the question, in order, each with what came of it."""
        rows = self._ask(
            """
            WITH ends AS (
                SELECT refers_to AS id,
                    bool_or(kind = 'verified') AS helped,
                    arg_max(reason, seq)
                        FILTER (kind IN ('verification_failed', 'unverified', 'command_overdue')) AS judged,
                    arg_max(reason, seq) FILTER (kind = 'command_ended') AS ended
                FROM segments.decisions WHERE incident = $incident AND refers_to <> '' GROUP BY ALL
            )
            SELECT command.action AS action, helped, coalesce(judged, ended, $unknown) AS outcome
            FROM segments.decisions LEFT JOIN ends USING (id)
            WHERE incident = $incident AND kind = 'commanded' AND seq < $seq ORDER BY seq LIMIT 24
            """,
            incident=question.incident,
            seq=question.seq,
            unknown=UNKNOWN,
        )
        return tuple(Tried(action=row["action"], outcome=HELPED if row["helped"] else row["outcome"]) for row in rows)

    def findings(self, question: Decision) -> dict[str, float]:
        """Return what specialists found in the incident: code to the newest value."""
        rows = self._ask(
            "SELECT finding, arg_max(value, facts_offset) AS value FROM findings WHERE incident = $incident "
            "GROUP BY finding ORDER BY finding LIMIT 24",
            incident=question.incident,
        )
        return {row["finding"]: row["value"] for row in rows}

    def tied(self, service: str) -> tuple[str, ...]:
        """Return the services whose troubles begin together with a service's, as the fold found."""
        rows = self._ask(
            """
            SELECT DISTINCT CASE WHEN service = $service THEN other ELSE service END AS name
            FROM ties WHERE service = $service OR other = $service ORDER BY name LIMIT 16
            """,
            service=service,
        )
        return tuple(row["name"] for row in rows)

    def troubles(self, question: Decision, relations: Mapping[str, str], begin_ms: int) -> tuple[Trouble, ...]:
        """Return what began on some services around the opening, the incident's own left out, in order of time."""
        rows = self._ask(
            """
            WITH ends AS (
                SELECT CASE WHEN kind IN ('incident_closed', 'incident_merged') THEN incident ELSE refers_to END AS id
                FROM segments.decisions
                WHERE append_ms >= $since AND kind IN (
                    'incident_closed', 'incident_merged', 'alert_resolved', 'anomaly_ended', 'rate_subsided',
                    'exhaustion_averted'
                )
            )
            SELECT service, kind, CASE kind WHEN 'incident_opened' THEN pattern ELSE reason END AS what, severity,
                at_ms, id NOT IN (SELECT id FROM ends) AS is_open
            FROM segments.decisions
            WHERE append_ms >= $since AND seq < $seq AND list_contains($services, service) AND incident <> $incident
                AND kind IN (
                    'incident_opened', 'alerted', 'anomaly_began', 'exhaustion_expected', 'exhaustion_came',
                    'rate_surged', 'template_new', 'health_changed', 'world_changed'
                )
            ORDER BY kind = 'incident_opened' DESC, abs(at_ms - $begin), seq LIMIT $most
            """,
            since=begin_ms - AROUND_MS,
            begin=begin_ms,
            seq=question.seq,
            services=list(relations),
            incident=question.incident,
            most=TROUBLES_MAX,
        )
        found = [
            Trouble(
                service=row["service"],
                relation=relations[row["service"]],
                kind=row["kind"],
                what=row["what"],
                severity=row["severity"],
                seconds=_after(row, begin_ms),
                is_open=row["is_open"],
            )
            for row in rows
        ]
        return tuple(sorted(found, key=lambda one: one.seconds))

    def templates(self, question: Decision, relations: Mapping[str, str], begin_ms: int) -> tuple[Template, ...]:
        """Return the lines around the opening as templates, those of the service itself first, then by number."""
        rows = self._ask(
            """
            WITH seen AS (
                SELECT service, pattern, severity, count, at_first_ms AS at_ms, source, source_partition,
                    lines[1] AS line
                FROM segments.detections
                WHERE at_last_ms >= $since AND at_first_ms <= $until AND list_contains($services, service)
                ORDER BY abs(at_first_ms - $begin) LIMIT $most
            )
            SELECT seen.service, seen.pattern, seen.severity, count, seen.at_ms, text
            FROM seen JOIN lines AS kept ON topic = source AND partition = source_partition
                AND record_offset = line."offset" AND line_index = line.index
            """,
            since=begin_ms - AROUND_MS,
            begin=begin_ms,
            until=max(question.at_ms, question.append_ms),
            services=list(relations),
            most=LINES_MAX,
        )
        return _by_template(rows, relations, begin_ms, self._mask)

    def fixes(self, pattern: str, service_type: str) -> tuple[Fix, ...]:
        """Return the verified outcomes of actions for a pattern on a type of service, the most tried first."""
        rows = self._ask(
            """
            SELECT action, count(*) FILTER (success) AS successes, count(*) FILTER (NOT success) AS failures,
                arg_max(confidence, seq) AS confidence
            FROM lessons WHERE pattern = $pattern AND service_type = $service_type
            GROUP BY action ORDER BY count(*) DESC, action LIMIT 24
            """,
            pattern=pattern,
            service_type=service_type,
        )
        return tuple(Fix(**row) for row in rows)

    def past(self, question: Decision) -> list[Step]:
        """Return the steps of the newest incidents of the same pattern or category that were closed or escalated."""
        rows = self._ask(
            """
            WITH chosen AS (
                SELECT incident FROM segments.decisions
                WHERE append_ms >= $since AND incident <> '' AND incident <> $incident
                    AND kind IN ('incident_closed', 'escalated') AND (pattern = $pattern OR category = $category)
                GROUP BY incident ORDER BY max(seq) DESC LIMIT $most
            )
            SELECT incident, id, kind, reason, service, pattern, coalesce(command.action, '') AS action,
                coalesce(command.service_type, '') AS service_type, refers_to, append_ms
            FROM segments.decisions
            WHERE append_ms >= $since AND incident IN (SELECT incident FROM chosen) AND kind IN (
                'incident_opened', 'symptom_joined', 'commanded', 'verified', 'verification_failed', 'escalated',
                'escalation_resolved', 'incident_closed'
            )
            ORDER BY seq
            """,
            incident=question.incident,
            pattern=question.pattern,
            category=question.category,
            since=question.append_ms - PAST_MS,
            most=PAST_MAX,
        )
        return [Step(**row) for row in rows]

    def _ask(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        return self._log.query(sql, parameters).to_dicts()


def _by_template(
    rows: list[dict[str, Any]], relations: Mapping[str, str], begin_ms: int, mask: Mask
) -> tuple[Template, ...]:
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((row["service"], row["pattern"], mask(row["text"])), []).append(row)
    found = [
        Template(
            service=service,
            relation=relations[service],
            pattern=pattern,
            severity=max((row["severity"] for row in group), key=SEVERITIES.index),
            lines=sum(row["count"] for row in group),
            seconds=min(_after(row, begin_ms) for row in group),
            text=text,
        )
        for (service, pattern, text), group in grouped.items()
    ]
    return tuple(sorted(found, key=lambda one: (one.relation != "self", -one.lines, one.text)))


def _after(row: Mapping[str, Any], begin_ms: int) -> int:
    return int(row["at_ms"] - begin_ms) // 1000
