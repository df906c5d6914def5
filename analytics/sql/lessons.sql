-- What each verified outcome taught: one row an outcome of an action. `confidence` is the success that was expected of the
-- action from then on, for the pattern on the type of service; `outcomes` is how many of its outcomes were known then.
-- An action that a person approved is learnt for the pattern that it was asked about. What a person did about an escalation
-- is learnt too: its `command` is then the decision that says so.
CREATE VIEW lessons AS
WITH learnt AS (
    SELECT
        *,
        figure(figures, 'learnt_success') = 1.0 AS success,
        figure(figures, 'learnt_confidence') AS expected,
        CAST(figure(figures, 'learnt_outcomes') AS BIGINT) AS outcomes
    FROM segments.decisions
    WHERE kind IN ('verified', 'verification_failed', 'command_ended', 'resolution_verified', 'resolution_failed')
),
done AS (
    SELECT *, kind = 'escalation_resolved' AS by_person
    FROM segments.decisions
    WHERE kind IN ('commanded', 'escalation_resolved')
),
asked AS (
    SELECT id, pattern FROM segments.decisions WHERE kind = 'approval_requested'
)
SELECT
    learnt.seq,
    learnt.id AS decision,
    done.id AS command,
    learnt.incident,
    learnt.service,
    CASE WHEN by_person THEN learnt.pattern ELSE coalesce(asked.pattern, done.pattern) END AS pattern,
    CASE WHEN by_person THEN split_part(done.reason, '.', 1) ELSE done.command.service_type END AS service_type,
    done.strategy,
    CASE WHEN by_person THEN done.reason ELSE done.command.action END AS action,
    CASE WHEN by_person THEN done.reason ELSE rendered(done.command.action, done.command.arguments) END AS fix_command,
    learnt.success,
    learnt.expected AS confidence,
    learnt.outcomes,
    appended(learnt.kafka_append_ms) AS learnt_at
FROM learnt
JOIN done ON done.id = learnt.refers_to
LEFT JOIN asked ON asked.id = done.refers_to
WHERE learnt.success IS NOT NULL;
