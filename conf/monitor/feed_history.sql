/*
title: Feeds and their due times
row: a due time of a feed since the first run, newest first, and whether it was met
severity: info
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 14, meaning: "days before now that are shown"}
*/
-- The same due times as in late_feeds.sql. What came after a due time counts for it until the next one may be served.
WITH days AS (
  SELECT explode(sequence(date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days), date_add(to_date(CAST(:now AS TIMESTAMP)), 1))) AS day
),
due AS (
  SELECT c.data_source, c.tablename, c.needs_rows, c.early_minutes, c.allowed_delay_minutes,
         make_timestamp(year(d.day), month(d.day), dayofmonth(d.day), c.due_hour, c.due_minute, 0, c.time_zone) AS due_at
  FROM audit.feed_calendar c
  JOIN days d ON (size(c.weekdays) = 0 OR array_contains(c.weekdays, element_at(array('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'), weekday(d.day) + 1)))
    AND (size(c.days_of_month) = 0 OR array_contains(c.days_of_month, dayofmonth(d.day))
         OR (d.day = last_day(d.day) AND array_max(c.days_of_month) > dayofmonth(d.day)))
    AND NOT array_contains(c.not_on, d.day)
  WHERE c.due_hour IS NOT NULL
),
passed AS (
  SELECT data_source, tablename, needs_rows, due_at,
         due_at - make_dt_interval(0, 0, early_minutes) AS opens_at,
         due_at + make_dt_interval(0, 0, allowed_delay_minutes) AS ends_at
  FROM due
  WHERE due_at + make_dt_interval(0, 0, allowed_delay_minutes) < CAST(:now AS TIMESTAMP)
    AND due_at >= (SELECT min(started_at) FROM audit.runs)
),
spans AS (
  SELECT data_source, tablename, needs_rows, due_at, opens_at, ends_at,
         coalesce(lead(opens_at) OVER (PARTITION BY data_source, tablename ORDER BY due_at), CAST(:now AS TIMESTAMP)) AS closes_at
  FROM passed
),
loads AS (
  SELECT data_source, tablename, rows_read, coalesce(finished_at, loaddate) AS ended_at
  FROM audit.load_logs
  WHERE layer = 'bronze' AND status IN ('SUCCESS', 'NOOP') AND is_backfill IS NOT TRUE AND coalesce(finished_at, loaddate) <= CAST(:now AS TIMESTAMP)
),
met AS (
  SELECT s.data_source, s.tablename, s.due_at, s.ends_at, min(l.ended_at) AS came_at
  FROM spans s
  LEFT JOIN loads l ON l.data_source = s.data_source AND l.tablename = s.tablename
    AND l.ended_at >= s.opens_at AND l.ended_at <= s.closes_at AND (NOT s.needs_rows OR l.rows_read > 0)
  GROUP BY s.data_source, s.tablename, s.due_at, s.ends_at
)
SELECT data_source, tablename, due_at, came_at,
       CASE WHEN came_at IS NULL THEN 'missing' WHEN came_at > ends_at THEN 'late' ELSE 'on time' END AS verdict
FROM met
ORDER BY due_at DESC, data_source, tablename
