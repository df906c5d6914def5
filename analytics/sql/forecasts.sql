-- Forecasts of metrics, one row each, with what came: `came` is the metric's value of the minute `for_at`, as it was
-- assessed, NULL while it is not known. Values are in the units of streams/catalogue/metrics.toml; `slope` a minute.
-- `capacity_percent` is how much of today's capacity keeps the use at the policy's target, `advice` what that comes to.
CREATE VIEW forecasts AS
WITH said AS (
    SELECT
        seq,
        id,
        service,
        reason AS metric,
        strategy AS advice,
        at_ms,
        at_ms + CAST(figure(figures, 'ahead_ms') AS BIGINT) AS for_ms,
        figures
    FROM segments.decisions
    WHERE kind = 'forecast'
),
came AS (
    SELECT said.seq, arg_max(figure(assessed.figures, said.metric), assessed.seq) AS came
    FROM said
    JOIN segments.decisions AS assessed ON assessed.service = said.service AND assessed.at_ms = said.for_ms
    WHERE assessed.kind = 'assessed'
    GROUP BY said.seq
)
SELECT
    id,
    service,
    metric,
    utc(at_ms) AS forecast_at,
    utc(for_ms) AS for_at,
    (for_ms - at_ms) / 60000 AS ahead_minutes,
    figure(figures, 'level') AS level,
    figure(figures, 'value') AS value,
    figure(figures, 'low') AS low,
    figure(figures, 'high') AS high,
    figure(figures, 'slope') AS slope,
    figure(figures, 'limit') AS limit_value,
    came.came,
    abs(came.came - figure(figures, 'value')) AS error,
    came.came BETWEEN figure(figures, 'low') AND figure(figures, 'high') AS within_interval,
    figure(figures, 'use') AS use,
    figure(figures, 'use_high') AS use_high,
    figure(figures, 'units') AS capacity_percent,
    advice,
    seq
FROM said
LEFT JOIN came USING (seq);
