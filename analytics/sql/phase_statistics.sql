-- What each phase is worth: incidents that were in it, its attempts, those that it healed, and the mean time from opening
-- to healing. `success_rate` is of the incidents that left it; `share` is of all that were healed or given to a person:
-- what was solved in phases 1 to 3, and what came to phase 4.
CREATE VIEW phase_statistics AS
WITH counted AS (
    SELECT
        phases.phase,
        count(*) AS incidents,
        sum(phases.attempts)::BIGINT AS attempts,
        count(*) FILTER (ended_as = 'healed') AS healed,
        count(*) FILTER (ended_as IN ('healed', 'unverified', 'failed', 'passed_on')) AS over,
        count(*) FILTER (ended_as = 'healed' OR phases.phase = 4) AS ended,
        avg(clock_seconds) AS clock_seconds,
        avg(healed_seconds) FILTER (ended_as = 'healed') AS healed_seconds
    FROM phases
    JOIN incidents ON incidents.id = phases.incident
    GROUP BY phases.phase
)
SELECT
    phase,
    ['quick fix', 'one advisor', 'consensus', 'person'][phase] AS help,
    incidents,
    attempts,
    healed,
    round(healed / nullif(over, 0), 4) AS success_rate,
    round(ended / nullif(sum(ended) OVER (), 0), 4) AS share,
    round(clock_seconds, 3) AS clock_seconds,
    round(healed_seconds, 3) AS healed_seconds
FROM counted
ORDER BY phase;
