-- Records and lines that no decoder took; the record itself is in the dead-letter topic.
CREATE VIEW rejects AS
SELECT
    source AS topic,
    source_partition AS partition,
    "offset" AS record_offset,
    index AS line_index,
    reason,
    appended(facts_append_ms) AS recorded_at,
    facts_offset
FROM segments.rejects;
