-- One row an escalation. `status`: pending, acknowledged, resolved by a person, auto_resolved (its symptom went away, or it was a part of
-- another incident). `ai_consensus` is how many advisors agreed in the last question about it; `decision` is the id to answer it by.
-- `recommended_action` is what advisors settled on, else the best by the rules, of what was not tried in vain; manual:
-- nothing of the kind is left. `ai_attempts_count` are the actions tried before; `silenced_by` is the mute because of which nobody was told.
CREATE VIEW escalations AS
WITH steps AS (
    SELECT seq, id, kind, reason, incident, service, pattern, severity, confidence, refers_to, kafka_append_ms
    FROM segments.decisions
    WHERE incident <> ''
),
asked AS (
    SELECT * FROM steps WHERE kind = 'escalated'
),
answers AS (
    SELECT
        step.refers_to AS id,
        bool_or(step.kind = 'escalation_acknowledged' OR step.kind = 'escalation_assigned') AS acknowledged,
        arg_max(step.reason, step.seq) FILTER (step.kind = 'escalation_assigned') AS assigned_to,
        min(step.recorded_at) FILTER (step.kind = 'escalation_resolved') AS resolved_at,
        arg_min(step.reason, step.seq) FILTER (step.kind = 'escalation_resolved') AS method,
        string_agg(requests.author || ': ' || nullif(requests.text, ''), chr(10) ORDER BY step.seq) AS notes
    FROM decisions AS step
    LEFT JOIN requests
        ON requests.facts_offset = step.facts_offset
        AND requests.record_offset = step.causes[1]."offset"
        AND requests.kind = step.kind
    WHERE starts_with(step.kind, 'escalation_')
    GROUP BY step.refers_to
),
folded AS (
    SELECT
        incident,
        min(kafka_append_ms) FILTER (kind IN ('incident_closed', 'incident_merged')) AS closed_ms,
        max(kafka_append_ms) AS checked_ms
    FROM steps
    GROUP BY incident
),
before AS (
    SELECT
        asked.id,
        count(*) FILTER (step.kind = 'commanded') AS attempts,
        arg_max(step.reason, step.seq) FILTER (step.kind = 'advice_settled') AS advice,
        arg_max(step.confidence, step.seq) FILTER (step.kind = 'advice_settled') AS confidence
    FROM asked
    JOIN steps AS step
        ON step.incident = asked.incident AND step.kind IN ('commanded', 'advice_settled') AND step.seq < asked.seq
    GROUP BY asked.id
),
vain AS (
    SELECT asked.id, list(DISTINCT tried.command.action) AS actions
    FROM asked
    JOIN segments.decisions AS tried
        ON tried.incident = asked.incident AND tried.kind = 'commanded' AND tried.seq < asked.seq
    JOIN steps AS step
        ON step.refers_to = tried.id
        AND (
            step.kind IN ('verification_failed', 'command_overdue')
            OR (step.kind = 'command_ended' AND NOT starts_with(step.reason, 'done ok'))
        )
    WHERE tried.incident <> ''
    GROUP BY asked.id
),
weighed AS (
    SELECT asked.id, arg_max(scored.worth, scored.seq) AS worth
    FROM asked
    JOIN (
        SELECT
            incident,
            seq,
            [
                one.action FOR one IN list_reverse_sort([{score: it.score, action: it.action, strategy: it.strategy,
                    barred: it.barred} FOR it IN options])
                IF one.score > 0 AND one.strategy <> 'escalate' AND one.barred IN ('', 'not_explored')
            ] AS worth
        FROM segments.decisions
        WHERE incident <> '' AND kind <> 'planned' AND len(options) > 0
    ) AS scored ON scored.incident = asked.incident AND scored.seq <= asked.seq AND len(scored.worth) > 0
    GROUP BY asked.id
),
task AS (
    SELECT id, incident, issue_hash, issue_source, issue_message FROM tasks
)
SELECT
    asked.seq AS id,
    task.id AS task_id,
    coalesce(task.issue_hash, sha256(concat_ws('|', asked.service, asked.pattern))) AS issue_hash,
    asked.severity,
    asked.pattern AS issue_type,
    task.issue_source,
    asked.service AS issue_service,
    coalesce(task.issue_message, asked.pattern || ' on ' || asked.service) AS issue_message,
    CAST(coalesce(before.attempts, 0) AS INTEGER) AS ai_attempts_count,
    coalesce(replace(nullif(regexp_extract(before.advice, '^[23] of 3'), ''), ' of ', '/'), 'none') AS ai_consensus,
    before.confidence AS ai_confidence,
    concat_ws('; ', asked.reason, before.advice) AS ai_diagnosis,
    coalesce([
        one FOR one IN [regexp_extract(before.advice, '^. of .: (.+)$', 1)] || coalesce(weighed.worth, [])
        IF one <> '' AND NOT list_contains(coalesce(vain.actions, []), one)
    ][1], 'manual') AS recommended_action,
    CASE
        WHEN answers.resolved_at IS NOT NULL THEN 'resolved'
        WHEN folded.closed_ms IS NOT NULL THEN 'auto_resolved'
        WHEN answers.acknowledged THEN 'acknowledged'
        ELSE 'pending'
    END AS status,
    answers.assigned_to,
    answers.notes AS human_notes,
    coalesce(answers.resolved_at, appended(folded.closed_ms)) AS resolved_at,
    answers.method AS resolution_method,
    appended(asked.kafka_append_ms) AS created_at,
    appended(folded.checked_ms) AS last_checked,
    CAST(NULL AS INTEGER) AS github_issue_number,
    CAST(NULL AS TIMESTAMP) AS github_escalated_at,
    asked.id AS decision,
    asked.incident,
    nullif(asked.refers_to, '') AS silenced_by
FROM asked
LEFT JOIN task ON task.incident = asked.incident
LEFT JOIN answers ON answers.id = asked.id
LEFT JOIN folded ON folded.incident = asked.incident
LEFT JOIN before ON before.id = asked.id
LEFT JOIN weighed ON weighed.id = asked.id
LEFT JOIN vain ON vain.id = asked.id;
