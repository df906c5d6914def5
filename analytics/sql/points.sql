-- Data points of metrics by slice: how many its records held, and how many are in no sample.
CREATE VIEW points AS
SELECT
    source AS topic,
    source_partition AS partition,
    from_offset,
    to_offset,
    points,
    unmapped,
    appended(facts_append_ms) AS recorded_at,
    facts_offset
FROM segments.points;
