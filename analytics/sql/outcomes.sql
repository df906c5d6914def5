-- How commands ended: the first outcome of each, which is the one that counts.
CREATE VIEW outcomes AS
SELECT
    command_id AS command,
    command_seq,
    host,
    worker,
    status,
    ok,
    code,
    effect,
    utc(started_ms) AS started_at,
    utc(finished_ms) AS finished_at,
    skew_ms,
    appended(message_append_ms) AS reported_at,
    appended(facts_append_ms) AS recorded_at,
    facts_offset
FROM segments.outcomes
QUALIFY row_number() OVER (PARTITION BY command_id ORDER BY facts_offset, ordinal) = 1;
