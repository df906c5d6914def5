-- Every option of every decision, with its score and the probability with which it could have been chosen.
CREATE VIEW options AS
WITH offered AS (
    SELECT *, unnest(options) AS one, generate_subscripts(options, 1) AS place
    FROM segments.decisions
    WHERE NOT minutely(kind) AND len(options) > 0
)
SELECT
    decision.seq,
    decision.id AS decision,
    decision.incident,
    decision.kind,
    place - 1 AS ordinal,
    one.strategy,
    one.action,
    one.expected_success,
    one.cost,
    one.risk,
    one.score,
    one.probability,
    one.barred,
    one.strategy = decision.strategy AND coalesce(one.action = decision.command.action, true) AS chosen
FROM offered AS decision;
