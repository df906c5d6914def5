-- Of the incidents of some days, how many were fixed, and what share that is in percent (the target is 95):
-- FROM auto_fix_rate(days := 7).
CREATE MACRO auto_fix_rate(days := 7) AS TABLE
SELECT
    count(*) AS total,
    count(*) FILTER (fix_successful) AS fixed,
    round(100.0 * count(*) FILTER (fix_successful) / nullif(count(*), 0), 1) AS fix_rate
FROM tasks
WHERE detected_at > present() - to_days(days::INTEGER);
