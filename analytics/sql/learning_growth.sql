-- How many fixes are known, and how well those do that were tried, in percent: FROM learning_growth().
CREATE MACRO learning_growth() AS TABLE
SELECT
    count(*) AS total_patterns,
    avg(success_count) AS avg_successes,
    avg(total_attempts) AS avg_attempts,
    round(avg(100.0 * success_count / nullif(total_attempts, 0)), 1) AS avg_success_rate
FROM fix_patterns;
