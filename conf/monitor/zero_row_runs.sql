/*
title: Runs without a new row
row: an incremental load whose newest runs, several one after another, found nothing new
severity: warn
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 90, meaning: "days before now in which runs count"}
  runs: {default: 5, meaning: "runs in a row without a new row that are too many"}
*/
-- A snapshot is never empty (the run stops), and files that do not come are late feeds; so only loads with a watermark are judged. A back-fill
-- says nothing about what comes.
WITH loads AS (
  SELECT data_source, tablename, finished_at, rows_written,
         max(CASE WHEN rows_written > 0 THEN finished_at END) OVER (PARTITION BY data_source, tablename) AS last_rows_at
  FROM audit.load_logs
  WHERE layer = 'bronze' AND status = 'SUCCESS' AND watermarkcolumnname IS NOT NULL AND is_backfill IS NOT TRUE AND finished_at <= CAST(:now AS TIMESTAMP)
    AND loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
)
SELECT data_source, tablename, count(*) AS runs_without_rows, min(finished_at) AS since, last_rows_at
FROM loads
WHERE last_rows_at IS NULL OR finished_at > last_rows_at
GROUP BY data_source, tablename, last_rows_at
HAVING count(*) >= :runs
ORDER BY data_source, tablename
