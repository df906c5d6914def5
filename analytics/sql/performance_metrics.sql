-- How well each acting party did, one row each time that the outcome of an action told: strategies, workers that carried it
-- out, specialists that led to it, advisors that advised it (`party` says which of these `agent_name` is). The figures are of all its
-- outcomes up to that one; success is verified. Workers are those of a host, which number theirs alike: `host` is NULL for others.
CREATE VIEW performance_metrics AS
WITH learnt AS (
    SELECT seq, refers_to, kafka_append_ms, figures, figure(figures, 'learnt_success') = 1.0 AS success
    FROM segments.decisions
    WHERE kind IN ('verified', 'verification_failed', 'command_ended', 'resolution_verified', 'resolution_failed')
        AND figure(figures, 'learnt_success') IS NOT NULL
),
leaders AS (
    SELECT refers_to AS plan, regexp_replace(arg_min(split_part(reason, ' ', 1), seq), '-[0-9]+$', '') AS specialist
    FROM segments.decisions
    WHERE kind = 'spawned'
    GROUP BY refers_to
),
acted AS (
    SELECT
        learnt.seq,
        learnt.kafka_append_ms,
        learnt.success,
        done.strategy,
        outcomes.worker,
        outcomes.host,
        coalesce(nullif(regexp_extract(done.reason, 'passed on to ([a-z-]+)-[0-9]+:', 1), ''), leaders.specialist) AS specialist
    FROM learnt
    JOIN segments.decisions AS done ON done.id = learnt.refers_to AND done.kind IN ('commanded', 'escalation_resolved')
    LEFT JOIN segments.decisions AS asked ON asked.id = done.refers_to AND asked.kind = 'approval_requested'
    LEFT JOIN leaders ON leaders.plan = coalesce(asked.refers_to, done.refers_to)
    LEFT JOIN outcomes ON outcomes.command = done.id
),
parties AS (
    SELECT 'strategy' AS party, strategy AS agent_name, NULL AS host, seq, kafka_append_ms, success FROM acted
    UNION ALL
    SELECT 'worker', worker, host, seq, kafka_append_ms, success FROM acted
    UNION ALL
    SELECT 'specialist', specialist, NULL, seq, kafka_append_ms, success FROM acted
    UNION ALL
    SELECT 'advisor', substr(trust.name, 7), NULL, seq, kafka_append_ms, success
    FROM (SELECT *, unnest(figures) AS trust FROM learnt)
    WHERE starts_with(trust.name, 'trust_')
),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY party, agent_name, host ORDER BY seq) AS number FROM parties WHERE agent_name <> ''
)
SELECT
    row_number() OVER (ORDER BY seq, party, agent_name) AS id,
    agent_name,
    avg(success::INTEGER) OVER past AS success_rate,
    number AS total_attempts,
    number - coalesce(max(number) FILTER (success) OVER past, 0) AS consecutive_failures,
    utc(max(kafka_append_ms) FILTER (success) OVER past) AS last_success,
    appended(kafka_append_ms) AS created_at,
    party,
    host
FROM numbered
WINDOW past AS (PARTITION BY party, agent_name, host ORDER BY seq ROWS UNBOUNDED PRECEDING);
