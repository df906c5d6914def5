-- What comes again: one row a service and pattern. An incident recurs when it opens within a day after the one before it
-- of that service and pattern was closed; `recurrence_rate` is the share of the closed ones that were followed so.
CREATE VIEW recurrence AS
WITH followed AS (
    SELECT
        service,
        pattern,
        healed,
        opened_at,
        closed_at,
        lead(opened_at) OVER (PARTITION BY service, pattern ORDER BY first_seq) AS next_at
    FROM incidents
    WHERE merged_into IS NULL
)
SELECT
    service,
    pattern,
    count(*) AS incidents,
    count(*) FILTER (healed) AS healed,
    count(*) FILTER (next_at <= closed_at + INTERVAL 1 DAY) AS recurred,
    count(*) FILTER (healed AND next_at <= closed_at + INTERVAL 1 DAY) AS recurred_healed,
    round(recurred / nullif(count(closed_at), 0), 4) AS recurrence_rate,
    round(median(epoch_ms(next_at - closed_at)) / 1000, 3) AS seconds_between,
    min(opened_at) AS first_at,
    max(opened_at) AS latest_at
FROM followed
GROUP BY service, pattern
ORDER BY incidents DESC, service, pattern;
