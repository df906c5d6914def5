-- Incidents that needed nothing: one row a pattern, and one for all (pattern NULL). `subsided` went away although nothing was
-- done, `called_false` are those that a person called a false alarm, `needless` those of them that were acted on before.
-- `false_fire_rate` is the share of the closed ones that are either.
CREATE VIEW false_fire AS
WITH answered AS (
    SELECT incident, bool_or(reason = 'false_alarm') AS called_false
    FROM segments.decisions
    WHERE kind = 'escalation_resolved'
    GROUP BY incident
),
judged AS (
    SELECT
        one.pattern,
        one.attempts,
        one.closed_at,
        coalesce(answered.called_false, false) AS called_false,
        one.status = 'subsided' AND one.attempts = 0 AND answered.called_false IS NULL AS subsided
    FROM incidents AS one
    LEFT JOIN answered ON answered.incident = one.id
    WHERE one.merged_into IS NULL
)
SELECT
    pattern,
    count(*) AS incidents,
    count(closed_at) AS closed,
    count(*) FILTER (subsided) AS subsided,
    count(*) FILTER (called_false) AS called_false,
    count(*) FILTER (called_false AND attempts > 0) AS needless,
    round(count(*) FILTER (closed_at IS NOT NULL AND (subsided OR called_false)) / nullif(count(closed_at), 0), 4) AS false_fire_rate
FROM judged
GROUP BY GROUPING SETS ((pattern), ())
HAVING count(*) > 0
ORDER BY incidents DESC, pattern;
