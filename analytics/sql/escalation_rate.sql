-- Escalations of some days by status, each in percent of the incidents; the rows add up to the rate (the target is 5):
-- FROM escalation_rate(days := 7).
CREATE MACRO escalation_rate(days := 7) AS TABLE
SELECT
    count(*) AS total_escalations,
    status,
    round(
        100.0 * count(*) / nullif((SELECT count(*) FROM tasks WHERE detected_at > present() - to_days(days::INTEGER)), 0), 1
    ) AS escalation_rate
FROM escalations
WHERE created_at > present() - to_days(days::INTEGER)
GROUP BY status
ORDER BY status;
