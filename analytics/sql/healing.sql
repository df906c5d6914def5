-- What was done to services, by host: one row an action, with how it ended and whether it helped.
-- verified: true, the symptom stopped and stayed away; false, it came back, or the action failed; NULL, not known (yet).
CREATE VIEW healing AS
SELECT
    done.host,
    done.service,
    done.action,
    done.arguments,
    done.sent_at,
    done.finished_at,
    done.status,
    done.code,
    CASE
        WHEN judged.kind = 'verified' THEN true
        WHEN judged.kind = 'verification_failed' OR NOT done.ok THEN false
    END AS verified,
    judged.decided_at AS verified_at,
    done.incident,
    done.id AS command
FROM commands AS done
LEFT JOIN decisions AS judged
    ON judged.refers_to = done.id AND judged.kind IN ('verified', 'verification_failed')
WHERE done.kind = 'recovery';
