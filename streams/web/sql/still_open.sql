-- The decisions that the screen begins with, in order: of incidents that are open, of mutes that hold, of what is
-- expected, the last word on the kill switch, the last that was heard of the canary, and the last actions.
WITH ended AS (
    SELECT DISTINCT incident FROM segments.decisions WHERE kind IN ('incident_closed', 'incident_merged')
),
over AS (
    SELECT refers_to FROM segments.decisions WHERE kind IN ('mute_lifted', 'mute_ended')
),
newest AS (
    SELECT max(seq) AS seq, max(at_ms) AS at_ms FROM segments.decisions
),
actions AS (
    SELECT min(seq) AS seq
    FROM (SELECT seq FROM segments.decisions WHERE kind = 'commanded' ORDER BY seq DESC LIMIT 200)
),
wanted AS (
    SELECT seq FROM segments.decisions WHERE incident <> '' AND incident NOT IN (FROM ended)
    UNION
    SELECT seq FROM segments.decisions WHERE kind = 'mute_set' AND id NOT IN (FROM over)
    UNION
    SELECT max(seq) FROM segments.decisions WHERE kind IN ('halted', 'resumed', 'fact_rejected')
    UNION
    SELECT max(seq) FROM segments.decisions WHERE kind = 'canary_heard'
    UNION
    SELECT max(seq)
    FROM segments.decisions
    WHERE kind IN ('forecast', 'predicted', 'exhaustion_expected', 'exhaustion_came', 'exhaustion_averted')
        AND at_ms > (SELECT at_ms FROM newest) - 86400000
    GROUP BY service, reason, kind
    UNION
    SELECT seq
    FROM segments.decisions
    WHERE seq >= (SELECT seq FROM actions) AND kind IN (
        'commanded', 'command_ended', 'command_overdue', 'verified', 'verification_failed', 'unverified'
    )
)
SELECT kafka_value, kafka_append_ms
FROM segments.decisions
WHERE seq IN (SELECT seq FROM wanted)
ORDER BY seq
