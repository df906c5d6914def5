-- What a person was told of services' metrics: one row an alert. `level` is the highest that it reached (info, warning,
-- error, critical, fatal) and `rises` how often it rose; `value`, `usual` and `points` (of the score, which the metric
-- takes alone) are those of the last time that it was told. `hint` says how it may be resolved, and `incident` is the newest
-- one of the service that was open meanwhile.
CREATE VIEW alerts AS
WITH told AS (
    SELECT if(refers_to = '', id, refers_to) AS alert, * FROM decisions WHERE kind = 'alerted'
),
folded AS (
    SELECT
        alert,
        min(seq) AS first_seq,
        arg_max(severity, seq) AS level,
        count(*) - 1 AS rises,
        arg_max(figures, seq) AS figures,
        any_value(service) AS service,
        any_value(reason) AS metric,
        min(recorded_at) AS raised_at,
        max(recorded_at) AS risen_at,
        min(decided_at) AS first_decided_at,
        max(decided_at) AS last_decided_at
    FROM told
    GROUP BY alert
)
SELECT
    folded.first_seq AS id,
    folded.service AS service_name,
    folded.metric,
    folded.level,
    if(ended.seq IS NULL, 'open', 'resolved') AS status,
    folded.rises,
    figure(folded.figures, 'measured') AS value,
    figure(folded.figures, 'usual') AS usual,
    figure(folded.figures, 'points') AS points,
    figure(folded.figures, 'score') AS score,
    hint.hint,
    (
        SELECT arg_max(one.id, one.first_seq)
        FROM incidents AS one
        WHERE one.service = folded.service AND one.opened_at <= folded.last_decided_at
            AND coalesce(one.closed_at >= folded.first_decided_at, true)
    ) AS incident,
    folded.raised_at,
    folded.risen_at,
    ended.recorded_at AS resolved_at
FROM folded
LEFT JOIN decisions AS ended ON ended.kind = 'alert_resolved' AND ended.refers_to = folded.alert
LEFT JOIN segments.hints AS hint ON hint.metric = folded.metric;
