-- Limits that a metric was on its way to: when it was to be reached, and what came of it. `status`: expected, came (the
-- limit was reached), failed (its service failed first) or averted (it no longer goes there).
CREATE VIEW exhaustions AS
WITH said AS (
    SELECT seq, id, service, reason AS metric, strategy, at_ms, figures
    FROM segments.decisions WHERE kind = 'exhaustion_expected'
),
ended AS (
    SELECT refers_to AS id, any_value(kind) AS kind, max(at_ms) AS ended_ms
    FROM segments.decisions WHERE kind IN ('exhaustion_came', 'exhaustion_averted') GROUP BY ALL
),
met AS (
    SELECT said.*, ended.kind, ended_ms, CASE WHEN failed_ms <= coalesce(ended_ms, failed_ms) THEN failed_ms END AS hit_ms
    FROM said
    LEFT JOIN ended USING (id)
    ASOF LEFT JOIN failures ON failures.service = said.service AND said.at_ms < failures.failed_ms
)
SELECT
    id,
    service,
    metric,
    utc(at_ms) AS said_at,
    utc(at_ms + CAST(figure(figures, 'expected_ms') AS BIGINT)) AS expected_at,
    utc(at_ms + CAST(figure(figures, 'earliest_ms') AS BIGINT)) AS earliest_at,
    CASE WHEN figure(figures, 'latest_ms') >= 0 THEN utc(at_ms + CAST(figure(figures, 'latest_ms') AS BIGINT)) END AS latest_at,
    figure(figures, 'level') AS level,
    figure(figures, 'slope') AS slope,
    figure(figures, 'limit') AS limit_value,
    strategy,
    CASE
        WHEN kind = 'exhaustion_came' THEN 'came'
        WHEN hit_ms IS NOT NULL THEN 'failed'
        WHEN kind = 'exhaustion_averted' THEN 'averted'
        ELSE 'expected'
    END AS status,
    utc(ended_ms) AS ended_at,
    utc(hit_ms) AS failed_at,
    seq
FROM met;
