-- One row a task that a person gave to the pool. `status`: submitted, completed, failed (or overdue, or refused by the pool), refused
-- by the fold. `task_id` is NULL where it is no UUID; `description` is kept as long as lines are.
CREATE VIEW pool_tasks AS
WITH submitted AS (
    SELECT *
    FROM segments.tasks_submitted
    QUALIFY row_number() OVER (PARTITION BY task_id ORDER BY facts_offset, ordinal) = 1
),
decided AS (
    SELECT id, kind, reason, facts_offset, causes[1]."offset" AS record_offset
    FROM decisions
    WHERE kind = 'task_given' OR (kind = 'request_refused' AND starts_with(reason, 'task '))
),
ended AS (
    SELECT refers_to AS id, min(reason) AS reason, min(recorded_at) AS at
    FROM decisions
    WHERE kind = 'task_ended'
    GROUP BY refers_to
)
SELECT
    TRY_CAST(submitted.task_id AS UUID) AS task_id,
    submitted.role AS agent_type,
    requests.text AS description,
    CASE
        WHEN decided.kind = 'request_refused' THEN 'refused'
        WHEN ended.id IS NULL THEN 'submitted'
        WHEN starts_with(ended.reason, 'done ok') THEN 'completed'
        ELSE 'failed'
    END AS status,
    requests.recorded_at AS created_at,
    nullif(outcomes.worker, '') AS worker_id,
    ended.at AS completed_at,
    CASE
        WHEN ended.id IS NOT NULL
            THEN CAST(json_object('agent_type', submitted.role, 'result', coalesce(outcomes.code, ended.reason)) AS JSON)
    END AS result,
    submitted.action,
    submitted.service,
    decided.id AS command
FROM submitted
JOIN requests
    ON requests.facts_offset = submitted.facts_offset AND requests.record_offset = submitted.message_offset
LEFT JOIN decided
    ON decided.facts_offset = submitted.facts_offset AND decided.record_offset = submitted.message_offset
LEFT JOIN ended ON ended.id = decided.id
LEFT JOIN outcomes ON outcomes.command = decided.id;
