-- How fast lines come, in windows on event time of any length: FROM rates('service', window_ms := 60000).
-- `what` is service, severity, category, pattern or template (a template with a parent counts as that one); windows begin
-- every hop_ms: as often as they are long (tumbling), or oftener (hopping). Windows without a line have no row.
CREATE MACRO rates(what, window_ms := 60000, hop_ms := NULL) AS TABLE
WITH kinds AS (SELECT pattern, min(category) AS category FROM segments.detections WHERE pattern <> '' GROUP BY ALL),
counted AS (
    SELECT
        CASE what
            WHEN 'service' THEN tally.service
            WHEN 'severity' THEN tally.severity
            WHEN 'category' THEN coalesce(kinds.category, '')
            WHEN 'pattern' THEN tally.pattern
            WHEN 'template' THEN coalesce(nullif(templates.parent, ''), tally.template)
            ELSE error('rates: give service, severity, category, pattern or template')
        END AS name,
        least(at_ms, facts_append_ms) AS at_ms,
        count,
        tally.severity IN ('error', 'critical', 'fatal') AS severe
    FROM segments.tallies AS tally
    LEFT JOIN kinds ON kinds.pattern = tally.pattern
    LEFT JOIN templates ON what = 'template' AND tally.template <> '' AND templates.service = tally.service
        AND templates.template = tally.template
),
windowed AS (
    SELECT name, count, severe, unnest(range(
        (at_ms - at_ms % coalesce(hop_ms, window_ms))::BIGINT, (at_ms - window_ms)::BIGINT, -coalesce(hop_ms, window_ms)::BIGINT
    )) AS begin_ms
    FROM counted WHERE name <> ''
)
SELECT utc(begin_ms) AS window_at, name, sum(count)::BIGINT AS lines,
    coalesce(sum(count) FILTER (severe), 0)::BIGINT AS errors, sum(count) * 1000.0 / window_ms AS lines_per_second
FROM windowed GROUP BY begin_ms, name;
