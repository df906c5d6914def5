-- Every guardrail that was asked, what it answered, and the figure it looked at.
CREATE VIEW gates AS
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
FROM segments.decisions AS decision, unnest(decision.gates) WITH ORDINALITY AS row (one, place);
