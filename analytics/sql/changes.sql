-- What people did: configuration applied, kill switch, approvals.
CREATE VIEW changes AS
SELECT
    kind,
    name,
    author,
    reason,
    sha256,
    decode(body) AS body,
    decision_id AS decision,
    command_sha256,
    approved,
    appended(message_append_ms) AS said_at,
    appended(facts_append_ms) AS recorded_at,
    source AS topic,
    source_partition AS partition,
    message_offset AS record_offset,
    facts_offset
FROM segments.changes;
