-- Every command that was sent, and how it ended (`status` is 'pending' until then).
CREATE VIEW commands AS
SELECT
    sent.seq,
    sent.id,
    sent.kind,
    sent.incident,
    sent.host,
    sent.service,
    sent.service_type,
    sent.strategy,
    sent.action,
    sent.arguments,
    sent.attempt,
    sent.approved_by,
    coalesce(outcome.status, 'pending') AS status,
    outcome.ok,
    outcome.code,
    appended(sent.kafka_append_ms) AS sent_at,
    utc(sent.expires_ms) AS expires_at,
    outcome.finished_at,
    sent.previous_seq,
    sent.sha256,
    sent.decisions_offset,
    sent.kafka_offset
FROM segments.commands AS sent
LEFT JOIN outcomes AS outcome ON outcome.command = sent.id;
