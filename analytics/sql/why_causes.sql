-- Where the lines behind some decisions ($ids) stand, what they said, and what was seen in them.
WITH wanted AS (
    SELECT DISTINCT
        one.topic AS topic,
        one.partition AS partition,
        one."offset" AS record_offset,
        one.index AS line_index
    FROM decisions, unnest(causes) AS row (one)
    WHERE list_contains($ids, id)
),
matched AS (
    SELECT
        topic,
        partition,
        place."offset" AS record_offset,
        place.index AS line_index,
        list({
            'pattern': pattern,
            'severity': severity,
            'confidence': confidence,
            'service': service,
            'service_rule': service_rule,
            'rules_sha256': rules_sha256,
            'facts_offset': facts_offset
        } ORDER BY facts_offset, ordinal) AS matches
    FROM detections, unnest(coordinates) AS row (place)
    WHERE topic IN (SELECT topic FROM wanted)
    GROUP BY ALL
),
probed AS (
    SELECT
        topic,
        partition,
        record_offset,
        min(concat_ws(' ', kind, 'probe from', host, CASE WHEN ok THEN 'ok' ELSE 'failed' END, code)) AS text
    FROM probes
    GROUP BY ALL
),
said AS (
    SELECT
        topic,
        partition,
        record_offset,
        min(concat_ws(' ', kind, nullif(name, ''), 'by', author)) AS text
    FROM changes
    GROUP BY ALL
    UNION ALL
    SELECT
        topic,
        partition,
        record_offset,
        min(concat(kind, ' by ', author, ': ' || nullif(text, ''))) AS text
    FROM requests
    GROUP BY ALL
),
advised AS (
    SELECT
        source AS topic,
        source_partition AS partition,
        message_offset AS record_offset,
        min(concat_ws(' ', advisor, 'by', answered_from, nullif(model, ''), nullif(cause, ''), nullif(suspect, ''))) AS text
    FROM segments.opinions
    GROUP BY ALL
)
SELECT
    wanted.*,
    coalesce(lines.text, probed.text, said.text, advised.text, '') AS text,
    CASE
        WHEN probed.text IS NOT NULL THEN 'probe'
        WHEN said.text IS NOT NULL THEN 'message'
        WHEN advised.text IS NOT NULL THEN 'opinion'
        ELSE 'line'
    END AS kind,
    coalesce(epoch_ms(lines.happened_at), 0) AS at_ms,
    coalesce(matched.matches, []) AS matches
FROM wanted
LEFT JOIN lines USING (topic, partition, record_offset, line_index)
LEFT JOIN matched USING (topic, partition, record_offset, line_index)
LEFT JOIN probed USING (topic, partition, record_offset)
LEFT JOIN said USING (topic, partition, record_offset)
LEFT JOIN advised USING (topic, partition, record_offset)
ORDER BY ALL;
