-- One row an incident, folded from its decisions. `status`: open, planning, acting, verifying, waiting,
-- escalated, healed, unverified, subsided, merged. `phase` is the one it is in, or ended in: 1 to 4.
-- Times are the fold's own; `healed_seconds` is from opening to closing.
CREATE VIEW incidents AS
WITH steps AS (
    SELECT * FROM segments.decisions WHERE incident <> ''
),
folded AS (
    SELECT
        incident,
        arg_min(service, seq) AS service,
        arg_min(host, seq) AS host,
        arg_max(pattern, seq) AS pattern,
        list_distinct(list_concat(
            list(pattern ORDER BY seq),
            coalesce(list(split_part(reason, ' ', 2) ORDER BY seq) FILTER (kind = 'symptom_joined'), [])
        )) AS patterns,
        arg_max(category, seq) AS category,
        arg_max(severity, seq) AS severity,
        max(count) AS lines,
        CAST(max(CASE kind
            WHEN 'phase_entered' THEN CAST(left(reason, 1) AS INTEGER)
            WHEN 'escalated' THEN 4
            ELSE 1
        END) AS INTEGER) AS phase,
        count(*) FILTER (kind = 'commanded') AS attempts,
        coalesce(list(command.action ORDER BY seq) FILTER (kind = 'commanded'), []) AS actions,
        arg_max(strategy, seq) FILTER (kind = 'commanded') AS strategy,
        arg_max(kind, seq) FILTER (kind IN (
            'planned', 'synchronised', 'commanded', 'withheld', 'approval_requested', 'approval_denied',
            'verification_failed', 'escalated', 'incident_opened'
        ) OR (kind = 'command_ended' AND strategy <> '')) AS latest,
        arg_max(strategy, seq) FILTER (kind = 'planned') AS way,
        arg_max(reason, seq) FILTER (kind = 'command_ended' AND strategy <> '') AS ended,
        arg_max(reason, seq) FILTER (kind = 'incident_closed') AS closed_as,
        bool_or(kind = 'incident_merged') AS merged,
        max(refers_to) FILTER (kind = 'incident_merged') AS merged_into,
        max(reason) FILTER (kind = 'escalated') AS escalated_because,
        arg_max(reason, seq) FILTER (kind = 'withheld') AS withheld_because,
        min(now_ms) AS opened_ms,
        min(now_ms) FILTER (kind = 'commanded') AS commanded_ms,
        max(now_ms) FILTER (kind = 'verified') AS verified_ms,
        max(now_ms) FILTER (kind IN ('incident_closed', 'incident_merged')) AS closed_ms,
        min(seq) AS first_seq,
        max(seq) AS last_seq
    FROM steps
    GROUP BY incident
)
SELECT
    incident AS id,
    service,
    host,
    pattern,
    patterns,
    category,
    severity,
    CASE
        WHEN merged THEN 'merged'
        WHEN closed_as IS NOT NULL THEN closed_as
        WHEN latest = 'planned' AND way <> 'no_plan' THEN 'planning'
        WHEN latest = 'commanded' THEN 'acting'
        WHEN latest = 'command_ended' AND starts_with(ended, 'done ok') THEN 'verifying'
        WHEN latest = 'approval_requested' THEN 'waiting'
        WHEN latest IN ('escalated', 'approval_denied') THEN 'escalated'
        ELSE 'open'
    END AS status,
    coalesce(closed_as = 'healed', false) AS healed,
    phase,
    attempts,
    actions,
    strategy,
    lines,
    merged_into,
    escalated_because,
    withheld_because,
    utc(opened_ms) AS opened_at,
    utc(commanded_ms) AS commanded_at,
    utc(verified_ms) AS verified_at,
    utc(closed_ms) AS closed_at,
    CASE WHEN closed_as = 'healed' THEN (closed_ms - opened_ms) / 1000 END AS healed_seconds,
    first_seq,
    last_seq
FROM folded;
