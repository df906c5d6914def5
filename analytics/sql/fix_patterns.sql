-- What helps against what: one row per pattern, type of service and action, of the fixes that are shipped and of all actions
-- that were tried. `confidence` is the expected success (0..1) after the last outcome, or as shipped; `fix_command` the
-- action as it was commanded last, for reading only. Shipped fixes are known since the log began.
CREATE VIEW fix_patterns AS
WITH began AS (SELECT min(recorded_at) AS at FROM decisions),
tried AS (
    SELECT
        pattern,
        service_type,
        action,
        arg_max(fix_command, seq) AS fix_command,
        arg_max(confidence, seq) AS confidence,
        count(*) FILTER (success) AS successes,
        count(*) FILTER (NOT success) AS failures,
        min(learnt_at) AS first_at,
        max(learnt_at) AS last_at
    FROM lessons
    GROUP BY ALL
),
known AS (
    SELECT
        sha256(concat_ws('|', pattern, service_type, action)) AS pattern_hash,
        pattern AS error_pattern,
        coalesce(tried.fix_command, action) AS fix_command,
        coalesce(tried.confidence, shipped.confidence) AS confidence,
        coalesce(successes, 0) AS success_count,
        coalesce(failures, 0) AS failure_count,
        CASE WHEN shipped.action IS NOT NULL THEN began.at ELSE first_at END AS created_at,
        coalesce(last_at, began.at) AS updated_at
    FROM segments.fixes AS shipped
    FULL JOIN tried USING (pattern, service_type, action)
    CROSS JOIN began
    WHERE began.at IS NOT NULL
)
SELECT
    row_number() OVER (ORDER BY created_at, pattern_hash) AS id,
    pattern_hash,
    error_pattern,
    fix_command,
    confidence,
    success_count,
    failure_count,
    success_count + failure_count AS total_attempts,
    created_at,
    updated_at
FROM known;
