-- One row an escalation. `status`: pending, acknowledged, resolved by a person, auto_resolved (its symptom went away, or it was a part of
-- another incident). `ai_consensus` is how many advisors agreed in the last question about it; `decision` is the id to answer it by.
-- `ai_attempts_count` are the actions tried before; `silenced_by` is the mute because of which nobody was told.
CREATE VIEW escalations AS
WITH asked AS (
    SELECT * FROM decisions WHERE kind = 'escalated'
),
steps AS (
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
closed AS (
    SELECT incident, min(recorded_at) AS at
    FROM decisions
    WHERE kind IN ('incident_closed', 'incident_merged')
    GROUP BY incident
),
checked AS (
    SELECT incident, max(recorded_at) AS at FROM decisions WHERE incident <> '' GROUP BY incident
),
tried AS (
    SELECT asked.id, count(*) AS attempts
    FROM asked
    JOIN decisions AS done ON done.incident = asked.incident AND done.kind = 'commanded' AND done.seq < asked.seq
    GROUP BY asked.id
),
advised AS (
    SELECT
        asked.id,
        arg_max(advice.reason, advice.seq) AS reason,
        arg_max(advice.confidence, advice.seq) AS confidence
    FROM asked
    JOIN decisions AS advice
        ON advice.incident = asked.incident AND advice.kind = 'advice_settled' AND advice.seq < asked.seq
    GROUP BY asked.id
),
weighed AS (
    SELECT
        asked.id,
        arg_max(
            list_filter(scored.options, lambda one: one.strategy <> 'escalate' AND one.barred = '')[1].action,
            scored.seq
        ) AS action
    FROM asked
    JOIN decisions AS scored
        ON scored.incident = asked.incident AND len(scored.options) > 0 AND scored.seq <= asked.seq
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
    CAST(coalesce(tried.attempts, 0) AS INTEGER) AS ai_attempts_count,
    coalesce(replace(nullif(regexp_extract(advised.reason, '^[23] of 3'), ''), ' of ', '/'), 'none') AS ai_consensus,
    advised.confidence AS ai_confidence,
    concat_ws('; ', asked.reason, advised.reason) AS ai_diagnosis,
    weighed.action AS recommended_action,
    CASE
        WHEN steps.resolved_at IS NOT NULL THEN 'resolved'
        WHEN closed.at IS NOT NULL THEN 'auto_resolved'
        WHEN steps.acknowledged THEN 'acknowledged'
        ELSE 'pending'
    END AS status,
    steps.assigned_to,
    steps.notes AS human_notes,
    coalesce(steps.resolved_at, closed.at) AS resolved_at,
    steps.method AS resolution_method,
    asked.recorded_at AS created_at,
    checked.at AS last_checked,
    CAST(NULL AS INTEGER) AS github_issue_number,
    CAST(NULL AS TIMESTAMP) AS github_escalated_at,
    asked.id AS decision,
    asked.incident,
    nullif(asked.refers_to, '') AS silenced_by
FROM asked
LEFT JOIN task ON task.incident = asked.incident
LEFT JOIN steps ON steps.id = asked.id
LEFT JOIN closed ON closed.incident = asked.incident
LEFT JOIN checked ON checked.incident = asked.incident
LEFT JOIN tried ON tried.id = asked.id
LEFT JOIN advised ON advised.id = asked.id
LEFT JOIN weighed ON weighed.id = asked.id;
