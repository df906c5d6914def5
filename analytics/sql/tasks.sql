-- One row an incident, as a task that is solved or not; what turned out to be a part of another is none. `fix_successful` is NULL
-- while it is open; `fix_message` is the phase that it was closed in. `detected_at` is by Kafka's clock, so old logs are new here.
CREATE VIEW tasks AS
WITH opened AS (
    SELECT incident, causes[1] AS cause, recorded_at
    FROM decisions
    WHERE kind = 'incident_opened'
),
closed AS (
    SELECT incident, max(recorded_at) AS at
    FROM decisions
    WHERE kind = 'incident_closed'
    GROUP BY incident
)
SELECT
    found.first_seq AS id,
    sha256(concat_ws('|', found.service, found.pattern)) AS issue_hash,
    found.pattern AS issue_type,
    opened.cause.topic AS issue_source,
    found.service AS issue_service,
    coalesce(lines.text, found.pattern || ' on ' || found.service) AS issue_message,
    found.severity,
    found.status,
    opened.recorded_at AS detected_at,
    CASE WHEN closed.at IS NOT NULL THEN found.healed END AS fix_successful,
    CASE WHEN closed.at IS NOT NULL THEN
        concat('phase ', found.phase, ': ', ['quick fix', 'one advisor', 'consensus', 'person'][found.phase])
    END AS fix_message,
    closed.at AS closed_at,
    found.id AS incident
FROM incidents AS found
JOIN opened ON opened.incident = found.id
LEFT JOIN closed ON closed.incident = found.id
LEFT JOIN lines
    ON lines.topic = opened.cause.topic
    AND lines.partition = opened.cause.partition
    AND lines.record_offset = opened.cause."offset"
    AND lines.line_index = opened.cause.index
WHERE found.merged_into IS NULL;
