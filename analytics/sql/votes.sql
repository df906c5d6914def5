-- Questions to the advisors, one row each: how many answered in time, abstained and agreed, and what came of it. `verdict`
-- is NULL while the question is open, `action` where there was none to take. Single opinions are in `agent_consultations`.
CREATE VIEW votes AS
WITH steps AS (
    SELECT * FROM segments.decisions WHERE kind IN ('advice_asked', 'advice_settled')
),
asked AS (
    SELECT * FROM steps WHERE kind = 'advice_asked'
),
settled AS (
    SELECT
        refers_to AS question,
        arg_max(reason, seq) AS verdict,
        arg_max(confidence, seq) AS confidence,
        arg_max(figures, seq) AS figures,
        max(kafka_append_ms) AS settled_ms
    FROM steps
    WHERE kind = 'advice_settled'
    GROUP BY refers_to
)
SELECT
    asked.id AS question,
    asked.incident,
    asked.service,
    asked.pattern,
    CAST(figure(asked.figures, 'phase') AS INTEGER) AS phase,
    CAST(figure(settled.figures, 'answers') AS BIGINT) AS answers,
    CAST(figure(settled.figures, 'abstentions') AS BIGINT) AS abstentions,
    CAST(figure(settled.figures, 'agreed') AS BIGINT) AS agreed,
    figure(settled.figures, 'agreement') AS agreement,
    settled.verdict,
    nullif(regexp_extract(settled.verdict, ': ([a-z_]+\.[a-z_.]+)$', 1), '') AS action,
    settled.confidence,
    appended(asked.kafka_append_ms) AS asked_at,
    utc(settled.settled_ms) AS settled_at,
    asked.seq
FROM asked
LEFT JOIN settled ON settled.question = asked.id;
