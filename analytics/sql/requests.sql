-- What people asked for beside configuration: answers to escalations, mutes, tasks, healing. `text` is their reason or note, and
-- of a task what it is in words, while that is kept. `about` is what was answered or lifted, or the task's id.
CREATE VIEW requests AS
WITH said AS (
    SELECT facts_offset, ordinal, source, source_partition, message_offset, message_append_ms, facts_append_ms,
        'escalation_' || step AS kind, escalation_id AS about, '' AS service, author, reason
    FROM segments.answers
    UNION ALL
    SELECT facts_offset, ordinal, source, source_partition, message_offset, message_append_ms, facts_append_ms,
        'mute_set', '', service, author, reason
    FROM segments.mutes_set
    UNION ALL
    SELECT facts_offset, ordinal, source, source_partition, message_offset, message_append_ms, facts_append_ms,
        'mute_lifted', mute_id, '', author, reason
    FROM segments.mutes_lifted
    UNION ALL
    SELECT facts_offset, ordinal, source, source_partition, message_offset, message_append_ms, facts_append_ms,
        'task_submitted', task_id, service, author, ''
    FROM segments.tasks_submitted
    UNION ALL
    SELECT facts_offset, ordinal, source, source_partition, message_offset, message_append_ms, facts_append_ms,
        'heal_requested', '', '', author, reason
    FROM segments.heals_requested
)
SELECT
    said.kind,
    said.about,
    said.service,
    said.author,
    coalesce(lines.text, said.reason) AS text,
    appended(said.message_append_ms) AS said_at,
    appended(said.facts_append_ms) AS recorded_at,
    said.source AS topic,
    said.source_partition AS partition,
    said.message_offset AS record_offset,
    said.facts_offset
FROM said
LEFT JOIN lines
    ON lines.topic = said.source
    AND lines.partition = said.source_partition
    AND lines.record_offset = said.message_offset
    AND lines.line_index = 0;
