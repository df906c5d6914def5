-- Which strategies and actions help: one row a strategy, action and type of service, over all that was carried out.
-- `success_rate` is of those that are verified or failed; `success_at_least` what it exceeds with 95 % confidence
-- (Wilson, "Probable inference", 1927, one-sided).
CREATE VIEW verified_success AS
WITH counted AS (
    SELECT
        strategy,
        action,
        service_type,
        count(*) AS attempts,
        count(*) FILTER (success) AS verified,
        count(*) FILTER (NOT success) AS failed,
        count(success) AS known
    FROM fix_attempts
    GROUP BY ALL
)
SELECT
    strategy,
    action,
    service_type,
    attempts,
    verified,
    failed,
    attempts - known AS unverified,
    round(verified / nullif(known, 0), 4) AS success_rate,
    round(
        (verified + 1.353 - 1.645 * sqrt(verified * failed / nullif(known, 0) + 0.6765)) / (nullif(known, 0) + 2.706), 4
    ) AS success_at_least
FROM counted
ORDER BY attempts DESC, strategy, action, service_type;
