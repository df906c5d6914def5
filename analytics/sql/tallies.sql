-- Lines by service, severity, pattern, template and second.
CREATE VIEW tallies AS
SELECT
    utc(at_ms) AS second_at,
    service,
    severity,
    pattern,
    template,
    count AS lines,
    source AS topic,
    source_partition AS partition,
    appended(facts_append_ms) AS recorded_at,
    facts_offset
FROM segments.tallies;
