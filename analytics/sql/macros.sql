-- Milliseconds since 1970 as TIMESTAMP in UTC; NULL for 0 (never) and for what no calendar holds (after the year 9999).
CREATE MACRO utc(ms) AS CASE WHEN ms > 0 AND ms < 253402300800000 THEN make_timestamp(ms * 1000) END;
-- The figure of a name among a decision's; NULL when it has none.
CREATE MACRO figure(figures, wanted) AS list_filter(figures, lambda one: one.name = wanted)[1].value;
