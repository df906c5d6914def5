-- What each action may do on its own for a pattern and type of service, by its verified outcomes: one row for each that ever
-- left the level it began at (auto), with how it stands since the last change. The inventory's mode may allow less.
CREATE VIEW autonomy AS
WITH changes AS (
    SELECT
        change.pattern,
        acted.command.service_type AS service_type,
        acted.command.action AS action,
        regexp_extract(change.reason, '^.*: (\w+) to (\w+)$', ['before', 'after']) AS levels,
        change.figures,
        change.now_ms,
        change.seq
    FROM segments.decisions AS change
    JOIN segments.decisions AS acted ON acted.id = change.refers_to AND acted.incident <> ''
    WHERE change.kind = 'autonomy_changed'
)
SELECT
    pattern,
    service_type,
    action,
    arg_max(levels.after, seq) AS level,
    arg_max(levels.before, seq) AS level_before,
    arg_max(figure(figures, 'autonomy_bound'), seq) AS success_at_least,
    arg_max(figure(figures, 'verified_successes'), seq) AS successes,
    arg_max(figure(figures, 'verified_failures'), seq) AS failures,
    count(*) AS changes,
    utc(max(now_ms)) AS changed_at
FROM changes
GROUP BY pattern, service_type, action;
