-- Equal matches of one slice as one row: `lines` of them were seen, `coordinates` are the first three.
CREATE VIEW detections AS
SELECT
    facts_offset,
    ordinal,
    service,
    service_rule,
    host,
    pattern,
    category,
    severity,
    template,
    confidence,
    count AS lines,
    utc(at_first_ms) AS first_at,
    utc(at_last_ms) AS last_at,
    utc(append_max_ms) AS appended_at,
    appended(facts_append_ms) AS recorded_at,
    source AS topic,
    source_partition AS partition,
    lines AS coordinates,
    rules_sha256
FROM segments.detections;
