-- Sessions of errors: lines of a service without a pause of gap_ms between two of them: FROM sessions(gap_ms := 60000).
CREATE MACRO sessions(gap_ms := 60000) AS TABLE
WITH counted AS (
    SELECT service, least(at_ms, facts_append_ms) AS at_ms, sum(count) AS lines
    FROM segments.tallies WHERE severity IN ('error', 'critical', 'fatal') GROUP BY ALL
),
begun AS (
    SELECT *, coalesce(at_ms - lag(at_ms) OVER (PARTITION BY service ORDER BY at_ms) > gap_ms, true) AS first FROM counted
),
numbered AS (
    SELECT *, sum(first::INT) OVER (PARTITION BY service ORDER BY at_ms ROWS UNBOUNDED PRECEDING) AS number FROM begun
)
SELECT service, utc(min(at_ms)) AS begin_at, utc(max(at_ms)) AS end_at, sum(lines)::BIGINT AS lines
FROM numbered GROUP BY service, number;
