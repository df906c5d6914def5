-- The redacted text of the lines that detections name, one row a line; text is erased when its retention is over.
CREATE VIEW lines AS
SELECT
    topic,
    partition,
    "offset" AS record_offset,
    index AS line_index,
    service,
    pattern,
    severity,
    text,
    utc(at_ms) AS happened_at,
    appended(kafka_append_ms) AS recorded_at
FROM segments.evidence
QUALIFY row_number() OVER (PARTITION BY topic, partition, "offset", index ORDER BY kafka_offset) = 1;
