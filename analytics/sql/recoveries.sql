-- How long each step of an action took, in ms: to be dispatched, to be taken by the pool, to be done, and to be told.
-- `total_ms` is from the decision to the outcome, by Kafka's clock alone. Times of the host are corrected by its skew;
-- take_ms, act_ms and tell_ms are NULL when nothing was run.
CREATE VIEW recoveries AS
SELECT
    sent.id AS command,
    sent.host,
    sent.service,
    sent.action,
    outcome.status,
    epoch_ms(sent.sent_at - decided.recorded_at) AS dispatch_ms,
    epoch_ms(outcome.started_at - sent.sent_at) AS take_ms,
    epoch_ms(outcome.finished_at - outcome.started_at) AS act_ms,
    epoch_ms(outcome.reported_at - outcome.finished_at) AS tell_ms,
    epoch_ms(outcome.reported_at - decided.recorded_at) AS total_ms,
    decided.recorded_at AS decided_at,
    outcome.reported_at
FROM commands AS sent
JOIN decisions AS decided ON decided.kafka_offset = sent.decisions_offset AND NOT minutely(decided.kind)
JOIN outcomes AS outcome ON outcome.command = sent.id
WHERE sent.kind = 'recovery';
