-- One row a plan: who worked together on an incident and how, and what came of it. `outcome` is how the plan ended
-- (NULL while it is under way, `not_called` when nobody was: coordination is off, or there was no room), `verified` whether
-- the last action that it led to helped: true, false, or NULL (not known).
CREATE VIEW plans AS
WITH said AS (
    -- What a person approved refers to the request, and that to the plan.
    SELECT one.*, coalesce(asked.refers_to, one.refers_to) AS plan
    FROM segments.decisions AS one
    LEFT JOIN segments.decisions AS asked ON asked.id = one.refers_to AND asked.kind = 'approval_requested'
    WHERE one.kind IN ('spawned', 'looked', 'synchronised', 'commanded', 'plan_ended') AND one.refers_to <> ''
),
steps AS (
    SELECT
        plan,
        count(*) FILTER (kind = 'spawned') AS members,
        count(*) FILTER (kind = 'looked') AS looks,
        count(*) FILTER (kind = 'commanded') AS actions,
        arg_max(id, seq) FILTER (kind = 'commanded') AS command,
        max(now_ms) FILTER (kind = 'synchronised') AS synchronised_ms,
        arg_max(reason, seq) FILTER (kind = 'synchronised') AS synchronised_with,
        min(now_ms) FILTER (kind = 'commanded') AS commanded_ms,
        max(now_ms) FILTER (kind = 'plan_ended') AS ended_ms,
        max(reason) FILTER (kind = 'plan_ended') AS outcome,
        max(confidence) FILTER (kind = 'plan_ended') AS ended_well
    FROM said
    GROUP BY plan
),
judged AS (
    SELECT
        refers_to AS command,
        bool_or(kind = 'verified') AS verified
    FROM segments.decisions
    WHERE kind IN ('verified', 'verification_failed')
    GROUP BY refers_to
),
found AS (
    SELECT plan, count(*) AS findings FROM findings GROUP BY plan
)
SELECT
    planned.id,
    planned.incident,
    planned.service,
    planned.pattern,
    planned.severity,
    planned.strategy AS way,
    planned.reason AS because,
    coalesce(steps.members, 0) AS members,
    coalesce(steps.looks, 0) AS looks,
    coalesce(steps.actions, 0) AS actions,
    coalesce(found.findings, 0) AS findings,
    steps.synchronised_with,
    CASE WHEN coalesce(steps.members, 0) > 0 THEN steps.outcome ELSE 'not_called' END AS outcome,
    steps.ended_well,
    CASE
        WHEN judged.verified IS NOT NULL THEN judged.verified
        WHEN steps.outcome = 'failed' AND steps.actions > 0 THEN false
    END AS verified,
    utc(planned.now_ms) AS planned_at,
    utc(steps.synchronised_ms) AS synchronised_at,
    utc(steps.commanded_ms) AS commanded_at,
    utc(steps.ended_ms) AS ended_at,
    (steps.commanded_ms - planned.now_ms) / 1000 AS seconds_to_act,
    (steps.ended_ms - planned.now_ms) / 1000 AS seconds
FROM segments.decisions AS planned
LEFT JOIN steps ON steps.plan = planned.id
LEFT JOIN judged ON judged.command = steps.command
LEFT JOIN found ON found.plan = planned.id
WHERE planned.kind = 'planned';
