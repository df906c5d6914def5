-- What was unlike a service's own past, one row an anomaly. `what`: metrics (judged jointly; `metric` is the one
-- that was furthest from its usual), a metric, or error_lines. `surprise`: -log10 of the share of episodes of the past that reach
-- as far, the largest once it has ended. `ended_because` differs from `what` when it ended for another reason.
CREATE VIEW anomalies AS
WITH ended AS (
    SELECT refers_to AS id, any_value(reason) AS because, max(at_ms) AS at_ms, max(figure(figures, 'surprise')) AS surprise
    FROM segments.decisions WHERE kind = 'anomaly_ended' GROUP BY ALL
)
SELECT
    began.id,
    began.service,
    split_part(began.reason, ': ', 1) AS what,
    CASE WHEN contains(began.reason, ': ') THEN split_part(began.reason, ': ', 2) ELSE began.reason END AS metric,
    coalesce(ended.surprise, figure(began.figures, 'surprise')) AS surprise,
    utc(began.at_ms) AS began_at,
    utc(ended.at_ms) AS ended_at,
    (ended.at_ms - began.at_ms) / 1000 AS seconds,
    ended.because AS ended_because,
    began.seq
FROM segments.decisions AS began
LEFT JOIN ended ON ended.id = began.id
WHERE began.kind = 'anomaly_began';
