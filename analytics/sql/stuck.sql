-- What failed again and again over all incidents, one row each time that it was said: a pattern of a service, a strategy, or a
-- specialist. `released_at` is NULL while what comes next for it is given to a person; `escalations` are those incidents.
-- `evidence` are the newest attempts, up to the one that was said for, each with its action, how it ended, and whether it helped.
CREATE VIEW stuck AS
WITH said AS (
    SELECT *, regexp_extract(reason, '^(strategy|specialist) (.+)$', ['part', 'name']) AS found
    FROM segments.decisions
    WHERE kind = 'stuck'
),
ends AS (
    SELECT
        refers_to AS command,
        arg_max(reason, seq) FILTER (kind = 'command_ended') AS ended_as,
        arg_max(reason, seq) FILTER (kind = 'verification_failed') AS came_back,
        bool_or(kind = 'verified') AS verified
    FROM segments.decisions
    WHERE kind IN ('command_ended', 'command_overdue', 'verified', 'verification_failed')
    GROUP BY refers_to
),
leaders AS (
    SELECT refers_to AS plan, regexp_replace(arg_min(split_part(reason, ' ', 1), seq), '-[0-9]+$', '') AS specialist
    FROM segments.decisions
    WHERE kind = 'spawned'
    GROUP BY refers_to
),
attempts AS (
    SELECT
        sent.seq,
        sent.id,
        sent.service,
        sent.pattern,
        sent.strategy,
        coalesce(nullif(regexp_extract(sent.reason, 'passed on to ([a-z-]+)-[0-9]+:', 1), ''), leaders.specialist) AS specialist,
        {
            'command': sent.id,
            'incident': sent.incident,
            'service': sent.service,
            'action': sent.command.action,
            'ended_as': coalesce(ends.came_back, ends.ended_as),
            'verified': coalesce(ends.verified, false),
            'sent_ms': sent.now_ms
        } AS attempt
    FROM segments.decisions AS sent
    LEFT JOIN segments.decisions AS asked ON asked.id = sent.refers_to AND asked.kind = 'approval_requested'
    LEFT JOIN leaders ON leaders.plan = coalesce(asked.refers_to, sent.refers_to)
    LEFT JOIN ends ON ends.command = sent.id
    WHERE sent.kind = 'commanded'
),
released AS (
    SELECT refers_to AS id, min(now_ms) AS released_ms, arg_min(reason, seq) AS released_because
    FROM segments.decisions
    WHERE kind = 'stuck_released'
    GROUP BY refers_to
),
escalated AS (
    SELECT said.id, count(*) AS escalations
    FROM said
    LEFT JOIN segments.decisions AS freed ON freed.kind = 'stuck_released' AND freed.refers_to = said.id
    JOIN segments.decisions AS one
        ON one.kind = 'escalated' AND one.reason = 'stuck: ' || said.reason
        AND one.seq > said.seq AND (freed.seq IS NULL OR one.seq < freed.seq)
    GROUP BY said.id
),
numbered AS (
    -- Attempts of each part by number, so that the last ones before a moment are found without looking at all.
    SELECT part, seq, attempt, row_number() OVER (PARTITION BY part ORDER BY seq) AS number
    FROM (
        SELECT *, unnest([
            concat_ws('|', 'strategy', strategy),
            'specialist|' || specialist,
            concat_ws('|', '', service, pattern)
        ]) AS part
        FROM attempts
    )
),
last AS (
    SELECT
        said.id,
        said.part,
        unnest(range(greatest(numbered.number - CAST(figure(said.figures, 'attempts') AS BIGINT), 0), numbered.number)) + 1
            AS number
    FROM (
        SELECT *, CASE found.part WHEN '' THEN concat_ws('|', '', service, pattern) ELSE concat_ws('|', found.part, found.name) END AS part
        FROM said
    ) AS said
    ASOF JOIN numbered ON numbered.part = said.part AND said.seq > numbered.seq
),
evidence AS (
    SELECT last.id, list(numbered.attempt ORDER BY numbered.seq DESC) AS attempts
    FROM last
    JOIN numbered USING (part, number)
    GROUP BY last.id
)
SELECT
    said.id,
    CASE said.found.part WHEN '' THEN 'pattern' ELSE said.found.part END AS part,
    said.reason AS name,
    said.service,
    said.pattern,
    CAST(figure(said.figures, 'attempts') AS BIGINT) AS attempts,
    CAST(figure(said.figures, 'failures') AS BIGINT) AS failures,
    figure(said.figures, 'success_rate') AS success_rate,
    CAST(figure(said.figures, 'consecutive_failures') AS BIGINT) AS consecutive_failures,
    CASE
        WHEN figure(said.figures, 'minutes_since_success') >= 0
            THEN utc(said.now_ms - CAST(60000 * figure(said.figures, 'minutes_since_success') AS BIGINT))
    END AS last_success_at,
    evidence.attempts AS evidence,
    coalesce(escalated.escalations, 0) AS escalations,
    utc(said.now_ms) AS stuck_at,
    utc(released.released_ms) AS released_at,
    released.released_because,
    said.causes,
    said.seq
FROM said
LEFT JOIN evidence ON evidence.id = said.id
LEFT JOIN released ON released.id = said.id
LEFT JOIN escalated ON escalated.id = said.id;
