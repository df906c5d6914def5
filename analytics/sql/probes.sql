-- The state of services as seen from hosts.
CREATE VIEW probes AS
SELECT
    service,
    host,
    kind,
    ok,
    code,
    latency_ms,
    utc(at_ms) AS happened_at,
    appended(facts_append_ms) AS recorded_at,
    source AS topic,
    source_partition AS partition,
    message_offset AS record_offset,
    facts_offset
FROM segments.probes;
