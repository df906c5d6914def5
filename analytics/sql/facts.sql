-- Every fact as it stands in the log. `verdict` is the readers' rule's: only what is 'accepted' counts.
CREATE VIEW facts AS
SELECT
    kafka_offset AS facts_offset,
    kind,
    verdict,
    source,
    source_partition,
    term,
    from_offset,
    to_offset,
    lines,
    rules_sha256,
    utc(append_max_ms) AS appended_at,
    appended(kafka_append_ms) AS recorded_at
FROM segments.facts;
