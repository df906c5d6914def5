-- The health of services: one row a service and minute of its own event time, that began at `minute_at`. A metric is NULL
-- where it was not reported; units are those of streams/catalogue/metrics.toml. `created_at` is when it was recorded.
CREATE VIEW service_health AS
SELECT
    seq AS id,
    service AS service_name,
    nullif(category, '') AS service_type,
    reason AS status,
    figure(figures, 'score') AS score,
    figure(figures, 'cpu') AS cpu,
    figure(figures, 'memory') AS memory,
    figure(figures, 'disk') AS disk,
    figure(figures, 'network') AS network,
    figure(figures, 'error_rate') AS error_rate,
    figure(figures, 'response_time') AS response_time,
    figure(figures, 'throughput') AS throughput,
    figure(figures, 'availability') AS availability,
    figure(figures, 'temperature') AS temperature,
    figure(figures, 'power') AS power,
    figure(figures, 'cache_hit_rate') AS cache_hit_rate,
    figure(figures, 'queue_depth') AS queue_depth,
    recorded_at AS created_at,
    happened_at AS minute_at
FROM decisions
WHERE kind = 'assessed';
