-- What specialists and workers found out by looking, with the plan that made them look. Values are in the unit that
-- streams/catalogue/specialists.toml gives the finding; a flag is 1 for yes and 0 for no.
CREATE VIEW findings AS
SELECT
    found.service,
    found.host,
    found.code AS finding,
    found.value,
    found.worker,
    asked.refers_to AS plan,
    asked.incident,
    found.command_id AS command,
    utc(found.at_ms) AS happened_at,
    appended(found.facts_append_ms) AS recorded_at,
    found.source AS topic,
    found.source_partition AS partition,
    found.message_offset AS record_offset,
    found.facts_offset
FROM segments.findings AS found
LEFT JOIN segments.decisions AS asked ON asked.id = found.command_id AND NOT minutely(asked.kind);
