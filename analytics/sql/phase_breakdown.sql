-- In which phase the incidents of some days were fixed: FROM phase_breakdown(days := 7).
CREATE MACRO phase_breakdown(days := 7) AS TABLE
SELECT
    fix_message,
    count(*) AS count
FROM tasks
WHERE fix_successful AND detected_at > present() - to_days(days::INTEGER)
GROUP BY fix_message
ORDER BY count DESC, fix_message;
