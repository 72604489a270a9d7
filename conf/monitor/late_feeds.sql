/*
title: Late feeds
row: a feed whose newest due time is past, its allowed delay too, and that has not come since
severity: error
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 45, meaning: "days before now in which due times are looked for; more than the longest pause of a feed"}
*/
-- A load counts for a due time when it ended well, early_minutes before it or later. A back-fill and a reset are none. Times are UTC.
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
newest AS (
  SELECT data_source, tablename, needs_rows, early_minutes, allowed_delay_minutes, max(due_at) AS due_at
  FROM due
  WHERE due_at + make_dt_interval(0, 0, allowed_delay_minutes) < CAST(:now AS TIMESTAMP)
  GROUP BY data_source, tablename, needs_rows, early_minutes, allowed_delay_minutes
),
attempts AS (
  SELECT data_source, tablename, status, rows_read, coalesce(finished_at, loaddate) AS ended_at
  FROM audit.load_logs
  WHERE layer = 'bronze' AND coalesce(finished_at, loaddate) <= CAST(:now AS TIMESTAMP) AND status <> 'RESET' AND is_backfill IS NOT TRUE
),
judged AS (
  SELECT n.data_source, n.tablename, n.due_at, n.allowed_delay_minutes, a.status, a.ended_at,
         coalesce(a.status IN ('SUCCESS', 'NOOP') AND (NOT n.needs_rows OR a.rows_read > 0), false) AS is_good,
         coalesce(a.ended_at >= n.due_at - make_dt_interval(0, 0, n.early_minutes), false) AS is_in_time
  FROM newest n
  LEFT JOIN attempts a ON a.data_source = n.data_source AND a.tablename = n.tablename
)
SELECT data_source, tablename, due_at,
       CAST(floor((unix_seconds(CAST(:now AS TIMESTAMP)) - unix_seconds(due_at)) / 3600) AS INT) AS hours_late,
       CASE WHEN count_if(is_in_time) = 0 THEN 'nothing ran'
            WHEN count_if(is_in_time AND status IN ('SUCCESS', 'NOOP')) > 0 THEN 'it ran, without rows'
            ELSE concat('it ended as ', max_by(status, ended_at)) END AS what_happened,
       max(CASE WHEN is_good THEN ended_at END) AS last_good_at
FROM judged
GROUP BY data_source, tablename, due_at, allowed_delay_minutes
HAVING count_if(is_good AND is_in_time) = 0
ORDER BY due_at, data_source, tablename
