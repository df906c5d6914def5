-- One row an opinion of an advisor, as it was recorded. `vote`: for or against what came of the question (for: the same action),
-- abstained (`because` is why), not trusted, late, or open while the question is. `confidence` is calibrated by what came of the
-- advisor's opinions until then, `stated_confidence` what it said itself. `diagnosis` is its rationale while that is kept, else
-- cause and suspect. `helped` is NULL where the action was not done, or not verified. `task_id` is that of the incident,
-- `escalation_id` that of the escalation that followed, NULL when there was none.
CREATE VIEW agent_consultations AS
WITH steps AS (
    SELECT *
    FROM segments.decisions
    WHERE kind IN (
        'advised', 'advice_asked', 'advice_settled', 'incident_opened', 'escalated',
        'verified', 'verification_failed', 'command_ended'
    )
),
voices AS (
    SELECT
        *,
        regexp_extract(reason, '^(\w+): (.*?)(, too late|, not trusted)?$', ['advisor', 'said', 'note']) AS voice,
        causes[1] AS place
    FROM steps
    WHERE kind = 'advised'
),
said AS (
    SELECT
        voices.*,
        voice.note = ', too late' AS late,
        starts_with(voice.said, 'abstained') AS abstained,
        CASE WHEN NOT starts_with(voice.said, 'abstained') THEN voice.said END AS action
    FROM voices
),
settled AS (
    SELECT refers_to AS question, arg_max(reason, seq) AS verdict, arg_max(strategy, seq) AS strategy
    FROM steps
    WHERE kind = 'advice_settled'
    GROUP BY refers_to
),
outcomes AS (
    -- An outcome tells the trust in those who advised what was done: it is of the newest question of its incident.
    SELECT
        one.incident,
        one.seq,
        substr(trust.name, 7) AS advisor,
        trust.value AS trust,
        figure(one.figures, 'learnt_success') = 1.0 AS helped
    FROM (
        SELECT *, unnest(figures) AS trust
        FROM steps
        WHERE kind IN ('verified', 'verification_failed', 'command_ended') AND len(figures) > 0
    ) AS one
    WHERE starts_with(trust.name, 'trust_')
),
verified AS (
    SELECT
        said.seq,
        bool_or(outcomes.helped) AS helped,
        arg_max(outcomes.trust, outcomes.seq) AS trust
    FROM outcomes
    ASOF JOIN (SELECT * FROM said WHERE NOT late AND NOT abstained) AS said
        ON said.incident = outcomes.incident AND said.voice.advisor = outcomes.advisor AND outcomes.seq > said.seq
    GROUP BY said.seq
),
cases AS (
    SELECT
        incident,
        min(seq) FILTER (kind = 'incident_opened') AS task_id,
        list(seq ORDER BY seq) FILTER (kind = 'escalated') AS escalations
    FROM steps
    WHERE kind IN ('incident_opened', 'escalated')
    GROUP BY incident
)
SELECT
    said.seq AS id,
    coalesce(list_filter(cases.escalations, lambda one: one > said.seq)[1], cases.escalations[-1]) AS escalation_id,
    cases.task_id,
    said.voice.advisor AS agent_name,
    coalesce(
        lines.text,
        nullif(concat_ws(' of ', nullif(given.cause, ''), nullif(given.suspect, '')), '')
    ) AS diagnosis,
    CASE WHEN NOT said.abstained THEN said.confidence END AS confidence,
    said.action AS suggested_fix,
    CASE
        WHEN said.late THEN 'late'
        WHEN said.abstained THEN 'abstained'
        WHEN said.voice.note = ', not trusted' THEN 'not trusted'
        WHEN settled.question IS NULL THEN 'open'
        WHEN ends_with(settled.verdict, ': ' || said.action) THEN 'for'
        ELSE 'against'
    END AS vote,
    figure(said.figures, 'latency_ms') / 1000 AS execution_time_seconds,
    appended(said.kafka_append_ms) AS "timestamp",
    nullif(regexp_extract(said.voice.said, '^abstained, (\w+)$', 1), '') AS because,
    CASE WHEN NOT said.abstained THEN figure(said.figures, 'stated_confidence') END AS stated_confidence,
    verified.helped,
    verified.trust AS confidence_since,
    settled.verdict,
    nullif(given.suspect, '') AS suspect,
    nullif(given.cause, '') AS cause,
    given.provider,
    given.model,
    given.answered_from AS source,
    CAST(figure(said.figures, 'tokens') AS BIGINT) AS tokens,
    figure(said.figures, 'cost_usd') AS cost_usd,
    CAST(figure(asked.figures, 'phase') AS INTEGER) AS phase,
    said.refers_to AS question,
    said.incident,
    said.service,
    said.pattern
FROM said
LEFT JOIN segments.opinions AS given
    ON given.source = said.place.topic
    AND given.source_partition = said.place.partition
    AND given.message_offset = said.place."offset"
LEFT JOIN lines
    ON lines.topic = said.place.topic
    AND lines.partition = said.place.partition
    AND lines.record_offset = said.place."offset"
    AND lines.line_index = said.place.index
LEFT JOIN steps AS asked ON asked.id = said.refers_to
LEFT JOIN settled ON settled.question = said.refers_to
LEFT JOIN verified ON verified.seq = said.seq
LEFT JOIN cases ON cases.incident = said.incident;
