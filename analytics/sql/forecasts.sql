-- Forecasts of metrics, one row each, with what came: `came` is the metric's value of the minute `for_at`, as it was
-- assessed, NULL while it is not known. Values are in the units of streams/catalogue/metrics.toml; `slope` a minute.
-- `capacity_percent` is how much of today's capacity keeps the use at the policy's target, `advice` what that comes to.
CREATE VIEW forecasts AS
WITH said AS NOT MATERIALIZED (
    -- Numbers only, and read again for each use: held in memory, those of a long log do not fit.
    SELECT
        seq,
        id,
        service,
        reason AS metric,
        strategy AS advice,
        at_ms,
        at_ms + CAST(figure(figures, 'ahead_ms') AS BIGINT) AS for_ms,
        figure(figures, 'level') AS level,
        figure(figures, 'value') AS value,
        figure(figures, 'low') AS low,
        figure(figures, 'high') AS high,
        figure(figures, 'slope') AS slope,
        figure(figures, 'limit') AS limit_value,
        figure(figures, 'use') AS use,
        figure(figures, 'use_high') AS use_high,
        figure(figures, 'units') AS capacity_percent
    FROM segments.decisions
    WHERE kind = 'forecast'
),
wanted AS (
    SELECT seq, service, for_ms, metric FROM said
),
came AS (
    -- LEFT, so that what is held in memory is what was forecast, not all that was ever assessed.
    SELECT wanted.seq, arg_max(figure(assessed.figures, wanted.metric), assessed.seq) AS came
    FROM segments.decisions AS assessed
    LEFT JOIN wanted ON wanted.service = assessed.service AND wanted.for_ms = assessed.at_ms
    WHERE assessed.kind = 'assessed'
    GROUP BY wanted.seq
)
SELECT
    id,
    service,
    metric,
    utc(at_ms) AS forecast_at,
    utc(for_ms) AS for_at,
    (for_ms - at_ms) / 60000 AS ahead_minutes,
    level,
    value,
    low,
    high,
    slope,
    limit_value,
    came.came,
    abs(came.came - value) AS error,
    came.came BETWEEN low AND high AS within_interval,
    use,
    use_high,
    capacity_percent,
    advice,
    said.seq
FROM said
LEFT JOIN came USING (seq);
