-- Predicted failures, one row each, with what happened: `failed` is NULL until the horizon has passed without a failure.
-- `alarm`: the probability was at or above the policy's threshold of that time. `lead_seconds`: from what was said to the
-- failure. `feature` is what spoke most for it, `strategy` what relieves it.
CREATE VIEW predictions AS
WITH said AS (
    SELECT
        seq,
        id,
        service,
        at_ms,
        reason AS feature,
        strategy,
        confidence,
        figure(figures, 'probability') AS probability,
        figure(figures, 'alarm') AS threshold,
        figure(figures, 'horizon_ms') AS horizon_ms
    FROM segments.decisions
    WHERE kind = 'predicted'
),
heard AS (SELECT max(kafka_append_ms) AS last_ms FROM segments.facts),
met AS (
    SELECT
        said.*,
        last_ms,
        CASE WHEN failed_ms <= said.at_ms + horizon_ms THEN failed_ms END AS hit_ms
    FROM said
    CROSS JOIN heard
    ASOF LEFT JOIN failures ON failures.service = said.service AND said.at_ms < failures.failed_ms
)
SELECT
    id,
    service,
    utc(at_ms) AS predicted_at,
    probability,
    confidence,
    probability >= threshold AS alarm,
    threshold,
    horizon_ms / 1000 AS horizon_seconds,
    strategy,
    feature,
    CASE WHEN hit_ms IS NOT NULL THEN true WHEN last_ms > at_ms + horizon_ms THEN false END AS failed,
    utc(hit_ms) AS failed_at,
    (hit_ms - at_ms) / 1000 AS lead_seconds,
    seq
FROM met;
