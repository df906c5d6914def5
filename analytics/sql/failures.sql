-- Failures of services: an incident of severity error or more, or a health that became failed. What follows another
-- failure of the same service within five minutes is the same one.
CREATE VIEW failures AS
WITH told AS (
    SELECT
        service,
        at_ms,
        seq,
        incident,
        CASE kind WHEN 'health_changed' THEN 'not answering' ELSE pattern END AS why,
        lag(at_ms) OVER (PARTITION BY service ORDER BY at_ms, seq) AS before_ms
    FROM segments.decisions
    WHERE (kind IN ('incident_opened', 'severity_raised') AND severity IN ('error', 'critical', 'fatal'))
        OR (kind = 'health_changed' AND regexp_matches(reason, '^\w* ?to failed'))
)
SELECT service, utc(at_ms) AS failed_at, why, incident, at_ms AS failed_ms, seq
FROM told
WHERE before_ms IS NULL OR at_ms > before_ms + 300000;
