-- Milliseconds since 1970 as TIMESTAMP in UTC; NULL for 0 (never) and for what no calendar holds (after the year 9999).
CREATE MACRO utc(ms) AS CASE WHEN ms > 0 AND ms < 253402300800000 THEN make_timestamp(ms * 1000) END;
-- When Kafka appended a record, as TIMESTAMP in UTC: its clock is never 0 or mad, and without a CASE a filter on the
-- time reaches the files, so that only rows of the time that is asked for are read whole.
CREATE MACRO appended(ms) AS make_timestamp(ms * 1000);
-- Whether a kind tells of a measured minute. Nine of ten decisions do, and lie apart: a question that leaves them out never reads them.
CREATE MACRO minutely(kind) AS kind IN ('assessed', 'forecast', 'predicted');
-- The figure of a name among a decision's; NULL when it has none.
CREATE MACRO figure(figures, wanted) AS list_filter(figures, lambda one: one.name = wanted)[1].value;
-- An action with its arguments as text, for reading only.
CREATE MACRO rendered(action, arguments) AS concat_ws(' ', action, list_aggregate(
    list_transform(arguments, lambda one: one.name || '=' || one.value), 'string_agg', ' '
));
-- The time in UTC that is now for these questions: of a log that is read as of some time, that time.
CREATE MACRO present() AS coalesce((SELECT moment FROM segments.present), now() AT TIME ZONE 'UTC');
-- SQLite's function of that name, for questions that were written for it: datetime('now', '-7 days').
CREATE MACRO datetime(a, b) AS CASE WHEN a = 'now' THEN present() ELSE a::TIMESTAMP END + b::INTERVAL;
