-- Every time that a guardrail said no: what was to be done, which one it was, and the figure that it held against its limit.
-- `kind` is what was decided instead: mostly withheld or approval_requested. All answers, those that let pass too, are in `gates`.
CREATE VIEW guardrail_blocks AS
WITH asked AS (
    SELECT *, unnest(gates) AS one
    FROM segments.decisions
    WHERE NOT minutely(kind) AND len(list_filter(gates, lambda one: NOT one.passed)) > 0
)
SELECT
    blocked.seq,
    blocked.id AS decision,
    blocked.kind,
    one.name AS gate,
    one.value AS figure,
    one."limit" AS allowed,
    blocked.incident,
    blocked.service,
    blocked.host,
    blocked.pattern,
    blocked.severity,
    blocked.strategy,
    appended(blocked.kafka_append_ms) AS recorded_at
FROM asked AS blocked
WHERE NOT one.passed;
