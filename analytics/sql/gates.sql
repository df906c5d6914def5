-- Every guardrail that was asked, what it answered, and the figure it looked at.
CREATE VIEW gates AS
WITH asked AS (
    SELECT *, unnest(gates) AS one, generate_subscripts(gates, 1) AS place
    FROM segments.decisions
    WHERE NOT minutely(kind) AND len(gates) > 0
)
SELECT
    decision.seq,
    decision.id AS decision,
    decision.incident,
    decision.kind,
    place - 1 AS ordinal,
    one.name AS gate,
    one.passed,
    one.value AS figure,
    one."limit" AS allowed
FROM asked AS decision;
