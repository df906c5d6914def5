-- What each verified outcome taught: one row an outcome of an action. `confidence` is the success that was expected of the
-- action from then on, for the pattern on the type of service; `outcomes` is how many of its outcomes were known then.
-- An action that a person approved is learnt for the pattern that it was asked about. What a person did about an escalation
-- is learnt too: its `command` is then the decision that says so.
CREATE VIEW lessons AS
SELECT
    learnt.seq,
    learnt.id AS decision,
    done.id AS command,
    learnt.incident,
    learnt.service,
    coalesce(asked.pattern, done.pattern) AS pattern,
    done.command.service_type AS service_type,
    done.strategy,
    done.action,
    rendered(done.action, done.command.arguments) AS fix_command,
    figure(learnt.figures, 'learnt_success') = 1.0 AS success,
    figure(learnt.figures, 'learnt_confidence') AS confidence,
    CAST(figure(learnt.figures, 'learnt_outcomes') AS BIGINT) AS outcomes,
    learnt.recorded_at AS learnt_at
FROM decisions AS learnt
JOIN decisions AS done ON done.id = learnt.refers_to AND done.kind = 'commanded'
LEFT JOIN decisions AS asked ON asked.id = done.refers_to AND asked.kind = 'approval_requested'
WHERE figure(learnt.figures, 'learnt_success') IS NOT NULL
UNION ALL
SELECT
    learnt.seq,
    learnt.id,
    done.id,
    learnt.incident,
    learnt.service,
    learnt.pattern,
    split_part(done.reason, '.', 1),
    done.strategy,
    done.reason,
    done.reason,
    figure(learnt.figures, 'learnt_success') = 1.0,
    figure(learnt.figures, 'learnt_confidence'),
    CAST(figure(learnt.figures, 'learnt_outcomes') AS BIGINT),
    learnt.recorded_at
FROM decisions AS learnt
JOIN decisions AS done ON done.id = learnt.refers_to AND done.kind = 'escalation_resolved'
WHERE figure(learnt.figures, 'learnt_success') IS NOT NULL;
