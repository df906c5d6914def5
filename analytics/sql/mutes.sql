-- What was muted, for how long, by whom. `kind`: silence (nobody is told), maintenance (nothing is acted on either). An empty service
-- or pattern stands for all. `ended_as` is 'lifted' or 'over', NULL while it holds; `held_back` counts the decisions that say so.
CREATE VIEW mutes AS
WITH ended AS (
    SELECT
        refers_to AS id,
        arg_min(kind, seq) AS kind,
        min(recorded_at) AS at
    FROM decisions
    WHERE kind IN ('mute_lifted', 'mute_ended')
    GROUP BY refers_to
),
held AS (
    SELECT refers_to AS id, count(*) AS decisions
    FROM decisions
    WHERE kind IN ('withheld', 'escalated') AND refers_to <> ''
    GROUP BY refers_to
)
SELECT
    decided.id,
    split_part(decided.reason, ' ', 1) AS kind,
    decided.service,
    decided.pattern,
    utc(CAST(figure(decided.figures, 'begin_ms') AS BIGINT)) AS begins_at,
    utc(CAST(figure(decided.figures, 'end_ms') AS BIGINT)) AS ends_at,
    requests.author,
    requests.text AS reason,
    CASE ended.kind WHEN 'mute_lifted' THEN 'lifted' WHEN 'mute_ended' THEN 'over' END AS ended_as,
    ended.at AS ended_at,
    coalesce(held.decisions, 0) AS held_back,
    decided.recorded_at AS set_at,
    decided.seq
FROM decisions AS decided
LEFT JOIN requests
    ON requests.kind = 'mute_set'
    AND requests.facts_offset = decided.facts_offset
    AND requests.record_offset = decided.causes[1]."offset"
LEFT JOIN ended ON ended.id = decided.id
LEFT JOIN held ON held.id = decided.id
WHERE decided.kind = 'mute_set';
