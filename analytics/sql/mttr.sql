-- How long it takes to repair: one row a service, and one for all (service NULL), over the incidents that were healed, from opening
-- to the verified end, in seconds by the fold's own time. `seconds_to_act` is the mean until the first action was commanded.
CREATE VIEW mttr AS
SELECT
    service,
    count(*) AS healed,
    round(avg(healed_seconds), 3) AS mean_seconds,
    round(median(healed_seconds), 3) AS median_seconds,
    round(quantile_disc(healed_seconds, 0.95), 3) AS p95_seconds,
    round(max(healed_seconds), 3) AS longest_seconds,
    round(avg(epoch_ms(commanded_at - opened_at)) / 1000, 3) AS seconds_to_act
FROM incidents
WHERE healed
GROUP BY GROUPING SETS ((service), ())
HAVING count(*) > 0
ORDER BY healed DESC, service;
