-- Every command that was not carried out: what it asked for, the code, and what that means (`streams/catalogue/codes.toml`).
-- `decided` is false for one that no decision of the log asked for: somebody else wrote it. Such a one has `service`,
-- `action` as it claims them; what is NULL was never archived.
CREATE VIEW refusals AS
SELECT
    outcome.reported_at AS refused_at,
    outcome.command AS id,
    outcome.host,
    sent.service,
    sent.action,
    outcome.status,
    outcome.code,
    code.meaning AS reason,
    decided.id IS NOT NULL AS decided,
    sent.incident,
    sent.approved_by,
    sent.kafka_offset
FROM outcomes AS outcome
LEFT JOIN commands AS sent ON sent.id = outcome.command AND sent.seq = outcome.command_seq
LEFT JOIN decisions AS decided ON decided.id = outcome.command AND decided.command.sha256 = sent.sha256
LEFT JOIN segments.codes AS code ON code.code = outcome.code
WHERE outcome.status IN ('refused', 'expired');
