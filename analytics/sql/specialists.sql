-- One row a specialist of a plan: what it held, and how far it came. `state` is what its pool said last, `spawned`
-- until it said anything. `held_seconds` is from the decision to bring it up until it was gone (by Kafka's clock; until
-- now while it lasts, and never longer than it may be kept), `used_seconds` the time of the steps that it carried out.
CREATE VIEW specialists AS
WITH asked AS (
    SELECT
        seq,
        incident,
        service,
        host,
        refers_to AS plan,
        kafka_append_ms,
        map_from_entries(list_transform(command.arguments, lambda one: {'k': one.name, 'v': one.value})) AS given
    FROM segments.decisions
    WHERE kind = 'spawned'
),
said AS (
    SELECT
        plan,
        specialist,
        arg_max(state, (facts_offset, message_offset)) AS state,
        arg_max(code, (facts_offset, message_offset)) AS code,
        min(facts_append_ms) FILTER (state = 'running') AS running_ms,
        min(facts_append_ms) FILTER (state IN ('released', 'failed')) AS ended_ms,
        max(cpu_ms) AS cpu_ms,
        max(memory_kb) AS memory_kb
    FROM segments.specialist_reports
    GROUP BY plan, specialist
),
used AS (
    SELECT looked.refers_to AS plan, done.worker AS specialist, sum(done.finished_ms - done.started_ms) / 1000 AS seconds
    FROM segments.outcomes AS done
    JOIN segments.decisions AS looked ON looked.id = done.command_id AND NOT minutely(looked.kind)
    WHERE done.started_ms > 0
    GROUP BY ALL
)
SELECT
    asked.given['specialist'] AS specialist,
    asked.given['part'] AS part,
    asked.given['way'] AS way,
    asked.plan,
    asked.incident,
    asked.service,
    asked.host,
    coalesce(said.state, 'spawned') AS state,
    said.code,
    appended(asked.kafka_append_ms) AS spawned_at,
    utc(said.running_ms) AS running_at,
    utc(said.ended_ms) AS ended_at,
    (said.running_ms - asked.kafka_append_ms) / 1000 AS start_seconds,
    greatest(least(
        coalesce(said.ended_ms, epoch_ms(present())) - asked.kafka_append_ms, asked.given['keep_ms']::BIGINT
    ), 0) / 1000 AS held_seconds,
    coalesce(used.seconds, 0) AS used_seconds,
    asked.given['cpu']::DOUBLE AS cpu,
    asked.given['memory_mb']::BIGINT AS memory_mb,
    asked.given['bandwidth_mbps']::BIGINT AS bandwidth_mbps,
    said.cpu_ms,
    said.memory_kb
FROM asked
LEFT JOIN said ON said.plan = asked.plan AND said.specialist = asked.given['specialist']
LEFT JOIN used ON used.plan = asked.plan AND used.specialist = asked.given['specialist'];
