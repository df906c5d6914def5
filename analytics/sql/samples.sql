-- The twelve health metrics by service, host and second, in the units of streams/catalogue/metrics.toml.
-- kind gauge: a value at a moment; delta: how much a counter grew; total: a counter itself, to be differenced by series
-- (its "last" alone says something). A series begins with the id of the rule that mapped it.
CREATE VIEW samples AS
SELECT
    utc(at_ms) AS second_at,
    service,
    host,
    metric,
    kind,
    series,
    count,
    CASE WHEN kind <> 'total' THEN sum / count END AS avg,
    CASE WHEN kind = 'delta' THEN sum END AS sum,
    min,
    max,
    last,
    source AS topic,
    source_partition AS partition,
    from_offset,
    appended(facts_append_ms) AS recorded_at,
    facts_offset
FROM segments.samples;
