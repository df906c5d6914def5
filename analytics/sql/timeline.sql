-- What happened, in the order in which it was recorded: decisions (without the minute's assessments, predictions and forecasts), what
-- the pool told, what people said, and probes that failed. `source` is decision, outcome, person or probe; `text` says it in few words.
-- In order: ORDER BY facts_offset, seq NULLS FIRST.
CREATE VIEW timeline AS
SELECT
    appended(kafka_append_ms) AS recorded_at,
    facts_offset,
    'decision' AS source,
    kind AS what,
    service,
    host,
    incident,
    concat_ws(' ', nullif(pattern, ''), nullif(strategy, ''), nullif(command.action, ''), nullif(reason, '')) AS text,
    id AS about,
    seq
FROM segments.decisions
WHERE NOT minutely(kind)
UNION ALL
SELECT
    outcomes.recorded_at,
    outcomes.facts_offset,
    'outcome',
    outcomes.status,
    coalesce(sent.service, ''),
    outcomes.host,
    coalesce(sent.incident, ''),
    concat_ws(' ', nullif(sent.action, ''), CASE WHEN outcomes.ok THEN 'ok' ELSE 'failed' END, nullif(outcomes.code, '')),
    outcomes.command,
    NULL
FROM outcomes
LEFT JOIN segments.commands AS sent ON sent.id = outcomes.command
UNION ALL
SELECT recorded_at, facts_offset, 'person', kind, service, '', '', concat_ws(': ', author, nullif(text, '')), about, NULL
FROM requests
UNION ALL
SELECT
    recorded_at,
    facts_offset,
    'person',
    kind,
    '',
    '',
    '',
    concat_ws(' ', nullif(author || ':', ':'), nullif(name, ''), nullif(reason, '')),
    coalesce(nullif(decision, ''), sha256),
    NULL
FROM changes
UNION ALL
SELECT recorded_at, facts_offset, 'probe', kind, service, host, '', concat_ws(' ', kind, 'failed', nullif(code, '')), '', NULL
FROM probes
WHERE NOT ok;
