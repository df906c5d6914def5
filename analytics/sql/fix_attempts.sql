-- What was done: one row an action that a worker carried out. `success` is what came of its verification, false too where the
-- action itself failed, NULL while it is not known. `verification_time` is after how many seconds the policy of that time looks
-- whether it helped. `error_description` is the redacted line that it was done for while that is kept, else its pattern.
CREATE VIEW fix_attempts AS
WITH policies AS (
    SELECT sha256, any_value(CAST(decode(body) ->> 'verify_after_ms' AS BIGINT)) AS verify_after_ms
    FROM segments.changes
    WHERE kind = 'config_applied' AND name = 'policy'
    GROUP BY sha256
),
done AS (
    SELECT * FROM segments.decisions WHERE kind = 'commanded'
)
SELECT
    done.seq AS id,
    healing.service AS service_name,
    coalesce(lines.text, done.pattern || ' on ' || done.service) AS error_description,
    rendered(healing.action, healing.arguments) AS fix_applied,
    healing.verified AS success,
    CAST(coalesce(policies.verify_after_ms, 60000) / 1000 AS INTEGER) AS verification_time,
    appended(done.kafka_append_ms) AS created_at,
    done.pattern,
    done.command.service_type AS service_type,
    done.strategy,
    healing.action,
    healing.verified_at,
    healing.incident,
    healing.command
FROM healing
JOIN done ON done.id = healing.command
LEFT JOIN policies ON policies.sha256 = done.policy_sha256
LEFT JOIN lines
    ON lines.topic = done.causes[1].topic
    AND lines.partition = done.causes[1].partition
    AND lines.record_offset = done.causes[1]."offset"
    AND lines.line_index = done.causes[1].index
WHERE healing.status = 'done';
