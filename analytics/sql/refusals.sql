-- Every command that was not carried out: what it asked for, the code, and what that means (`streams/catalogue/codes.toml`).
-- `decided` is false for one that no decision of the log asked for: somebody else wrote it. Such a one has `service`,
-- `action` as it claims them; what is NULL is not archived (yet).
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
    CASE
        WHEN decided.id IS NOT NULL THEN true
        WHEN sent.id IS NOT NULL AND coalesce(sent.decisions_offset, -1) <= last.decided THEN false
    END AS decided,
    sent.incident,
    sent.approved_by,
    sent.kafka_offset
FROM outcomes AS outcome
LEFT JOIN commands AS sent ON sent.id = outcome.command AND sent.seq = outcome.command_seq
LEFT JOIN decisions AS decided ON decided.id = outcome.command AND NOT minutely(decided.kind) AND decided.command.sha256 = sent.sha256
CROSS JOIN (SELECT coalesce(max(kafka_offset), -1) AS decided FROM segments.decisions) AS last
LEFT JOIN segments.codes AS code ON code.code = outcome.code
WHERE outcome.status IN ('refused', 'expired');
