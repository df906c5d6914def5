-- Templates of lines that look like errors and match no pattern, by service: one row a template, `parent` when the fold
-- found that it differs from others in names only (then both count as one). `example` is the text of its first line
-- that is still kept. `new_at`, `surged_at` and `vanished_at` are the latest times at which that was told of it.
CREATE VIEW templates AS
WITH RECURSIVE joined AS (
    SELECT service, reason AS template, arg_max(refers_to, seq) AS parent
    FROM segments.decisions WHERE kind = 'template_joined' GROUP BY ALL
),
above AS (
    SELECT service, template, parent, 1 AS step FROM joined
    UNION ALL
    SELECT above.service, above.template, joined.parent, step + 1
    FROM above JOIN joined ON joined.service = above.service AND joined.template = above.parent
    WHERE step < 8
),
top AS (SELECT service, template, arg_max(parent, step) AS parent FROM above GROUP BY ALL),
counted AS (
    SELECT service, template, arg_max(severity, at_ms) AS severity, sum(count)::BIGINT AS lines, min(at_ms) AS first_ms,
        max(at_ms) AS last_ms
    FROM segments.tallies WHERE template <> '' GROUP BY ALL
),
told AS (
    SELECT service, reason AS template,
        max(at_ms) FILTER (kind = 'template_new') AS new_ms,
        max(at_ms) FILTER (kind = 'template_surging') AS surged_ms,
        max(at_ms) FILTER (kind = 'template_vanished') AS vanished_ms
    FROM segments.decisions WHERE kind IN ('template_new', 'template_surging', 'template_vanished') GROUP BY ALL
),
named AS (
    SELECT service, template, arg_min({topic: source, place: source_partition, line: lines[1]}, facts_offset) AS first
    FROM segments.detections WHERE template <> '' GROUP BY ALL
),
shown AS (
    SELECT named.service, named.template, any_value(text) AS example
    FROM named JOIN segments.evidence AS kept ON kept.topic = first.topic AND kept.partition = first.place
        AND kept."offset" = first.line."offset" AND kept.index = first.line.index
    GROUP BY ALL
)
SELECT service, template, coalesce(top.parent, '') AS parent, severity, lines, example, utc(first_ms) AS first_at,
    utc(last_ms) AS last_at, utc(new_ms) AS new_at, utc(surged_ms) AS surged_at, utc(vanished_ms) AS vanished_at
FROM counted
LEFT JOIN top USING (service, template)
LEFT JOIN told USING (service, template)
LEFT JOIN shown USING (service, template);
