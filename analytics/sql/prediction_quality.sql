-- How good the predictions were whose outcome is known: one row a service, and one for all (service NULL). `brier` is
-- beside that of always saying the base rate. `recall`: share of the predictions before a failure that were alarms.
-- `failures` are those with a prediction in the horizon before them, `warned` the share of them with an alarm there,
-- `lead_seconds` the median time from the first such alarm to the failure.
CREATE VIEW prediction_quality AS
WITH known AS (SELECT *, CAST(failed AS INTEGER) AS came FROM predictions WHERE failed IS NOT NULL),
rated AS (
    SELECT
        service,
        count(*) AS predictions,
        avg(came) AS base_rate,
        -- added in one order, so that the last digit is the same however the rows lie
        avg((probability - came) * (probability - came) ORDER BY id) AS brier,
        avg(came) * (1 - avg(came)) AS brier_of_base_rate,
        avg(CAST(alarm = failed AS INTEGER)) AS accuracy,
        count(*) FILTER (alarm) AS alarms,
        avg(came) FILTER (alarm) AS precision,
        avg(CAST(alarm AS INTEGER)) FILTER (failed) AS recall,
        avg(CAST(alarm AS INTEGER)) FILTER (NOT failed) AS false_positive_rate
    FROM known
    GROUP BY GROUPING SETS ((service), ())
    HAVING count(*) > 0
),
each AS (
    SELECT service, failed_at, bool_or(alarm) AS warned, max(lead_seconds) FILTER (alarm) AS lead_seconds
    FROM known WHERE failed GROUP BY ALL
),
missed AS (
    SELECT
        service,
        count(*) AS failures,
        avg(CAST(warned AS INTEGER)) AS warned,
        median(lead_seconds) AS lead_seconds
    FROM each
    GROUP BY GROUPING SETS ((service), ())
    HAVING count(*) > 0
)
SELECT
    rated.service,
    predictions,
    base_rate,
    brier,
    brier_of_base_rate,
    accuracy,
    alarms,
    precision,
    recall,
    false_positive_rate,
    coalesce(failures, 0) AS failures,
    warned,
    lead_seconds
FROM rated
LEFT JOIN missed ON missed.service IS NOT DISTINCT FROM rated.service;
