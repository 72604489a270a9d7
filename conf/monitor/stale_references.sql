/*
title: Stale references
row: a feed with max_age_days in the calendar whose last good version is older than that, or that never had one
severity: error
parameters:
  now: {meaning: "the moment that is judged, UTC"}
*/
-- A load that went on with an old answer says so in a warning that begins so; it is no new version. A file may have the word in its name.
WITH loads AS (
  SELECT data_source, tablename, status, rows_read, error_class, coalesce(finished_at, loaddate) AS ended_at,
         status IN ('SUCCESS', 'NOOP') AND NOT coalesce(exists(warnings, words -> startswith(words, 'stale: ')), false) AS is_good
  FROM audit.load_logs
  WHERE layer = 'bronze' AND is_backfill IS NOT TRUE AND coalesce(finished_at, loaddate) <= CAST(:now AS TIMESTAMP)
),
aged AS (
  SELECT c.data_source, c.tablename, c.max_age_days,
         max(CASE WHEN l.is_good AND (NOT c.needs_rows OR l.rows_read > 0) THEN l.ended_at END) AS last_good_at,
         max_by(l.status, l.ended_at) AS newest_status,
         max_by(l.error_class, l.ended_at) AS newest_error_class,
         max(l.ended_at) AS newest_try_at
  FROM audit.feed_calendar c
  LEFT JOIN loads l ON l.data_source = c.data_source AND l.tablename = c.tablename
  WHERE c.max_age_days IS NOT NULL
  GROUP BY c.data_source, c.tablename, c.max_age_days
)
SELECT data_source, tablename, max_age_days, last_good_at,
       CAST(floor((unix_seconds(CAST(:now AS TIMESTAMP)) - unix_seconds(last_good_at)) / 86400) AS INT) AS age_days,
       newest_try_at, newest_status, newest_error_class
FROM aged
WHERE last_good_at IS NULL OR last_good_at < CAST(:now AS TIMESTAMP) - make_dt_interval(max_age_days)
ORDER BY data_source, tablename
