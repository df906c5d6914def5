-- One row a phase of an incident: 1 a quick fix, 2 one advisor, 3 three advisors, 4 a person. `because` is why it was entered
-- (NULL for phase 1). `ended_as`: healed, unverified or subsided (the incident closed in it), merged, failed (its attempt
-- did not help), passed_on (no attempt was made), NULL while it lasts. `clock_seconds` is for how long Logmend might have acted.
CREATE VIEW phases AS
WITH told AS (
    SELECT
        *,
        figure(figures, 'phase_clock_ms') AS clock_ms,
        CASE kind
            WHEN 'incident_opened' THEN 1
            WHEN 'escalated' THEN 4
            WHEN 'phase_entered' THEN CAST(figure(figures, 'phase') AS INTEGER)
        END AS entered
    FROM segments.decisions
    WHERE incident <> ''
),
placed AS (
    SELECT *, max(entered) OVER (PARTITION BY incident ORDER BY seq) AS phase FROM told
),
passed AS (
    SELECT
        incident,
        phase,
        arg_max(service, seq) AS service,
        arg_max(pattern, seq) AS pattern,
        arg_min(reason, seq) FILTER (entered > 1) AS because,
        count(*) FILTER (kind = 'commanded') AS attempts,
        min(now_ms) FILTER (entered IS NOT NULL) AS entered_ms,
        max(reason) FILTER (kind = 'incident_closed') AS closed_as,
        bool_or(kind = 'incident_merged') AS merged,
        max(now_ms) FILTER (kind IN ('incident_closed', 'incident_merged')) AS closed_ms,
        max(clock_ms) FILTER (kind = 'incident_closed') AS closed_clock_ms,
        min(seq) AS first_seq
    FROM placed
    GROUP BY incident, phase
),
left_by AS (
    -- The decision that enters a phase tells of the clock of the one before it.
    SELECT
        incident,
        lag(phase) OVER (PARTITION BY incident ORDER BY seq) AS phase,
        clock_ms
    FROM placed
    WHERE entered IS NOT NULL
),
ways AS (
    SELECT
        passed.*,
        lead(entered_ms) OVER (PARTITION BY passed.incident ORDER BY passed.phase) AS next_ms,
        coalesce(closed_clock_ms, left_by.clock_ms) AS clock_ms
    FROM passed
    LEFT JOIN left_by ON left_by.incident = passed.incident AND left_by.phase = passed.phase
)
SELECT
    incident,
    phase,
    service,
    pattern,
    because,
    attempts,
    CASE
        WHEN merged THEN 'merged'
        WHEN closed_as IS NOT NULL THEN closed_as
        WHEN next_ms IS NOT NULL AND attempts > 0 THEN 'failed'
        WHEN next_ms IS NOT NULL THEN 'passed_on'
    END AS ended_as,
    utc(entered_ms) AS entered_at,
    utc(coalesce(next_ms, closed_ms)) AS left_at,
    (coalesce(next_ms, closed_ms) - entered_ms) / 1000 AS seconds,
    clock_ms / 1000 AS clock_seconds,
    first_seq
FROM ways;
