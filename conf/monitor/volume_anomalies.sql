/*
title: Unusual volumes
row: a load whose newest run brought far fewer or far more rows than the median of its own runs before
severity: warn
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 90, meaning: "days before now in which runs count"}
  runs: {default: 14, meaning: "runs before the newest whose median is the measure"}
  min_runs: {default: 5, meaning: "with fewer runs before it a load is not judged"}
  min_rows: {default: 20, meaning: "where neither the newest run nor the median has so many rows, nothing is said"}
  low_ratio: {default: 0.25, meaning: "fewer rows than this part of the median are unusual"}
  high_ratio: {default: 4.0, meaning: "more rows than this multiple of the median are unusual"}
*/
-- The volume of an increment is what was new in it; of a snapshot and of files, what was read. Left out: a table's first load, which
-- brings its whole past, back-fills, and runs that found no file.
WITH volumes AS (
  SELECT data_source, tablename, run_id, finished_at,
         CASE WHEN watermarkcolumnname IS NULL THEN rows_read ELSE rows_written END AS volume,
         row_number() OVER (PARTITION BY data_source, tablename ORDER BY finished_at DESC, id DESC) AS age
  FROM audit.load_logs
  WHERE layer = 'bronze' AND status = 'SUCCESS' AND is_backfill IS NOT TRUE AND finished_at <= CAST(:now AS TIMESTAMP)
    AND loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
    AND CASE WHEN watermarkcolumnname IS NULL THEN rows_read > 0 ELSE watermark_before IS NOT NULL END
),
usual AS (
  SELECT data_source, tablename, median(volume) AS median_rows, count(*) AS runs_before
  FROM volumes
  WHERE age BETWEEN 2 AND :runs + 1
  GROUP BY data_source, tablename
)
SELECT v.data_source, v.tablename, v.finished_at, v.volume AS newest_rows, u.median_rows, u.runs_before,
       CASE WHEN v.volume < u.median_rows THEN 'fewer' ELSE 'more' END AS verdict, v.run_id
FROM volumes v
JOIN usual u ON u.data_source = v.data_source AND u.tablename = v.tablename
WHERE v.age = 1 AND u.runs_before >= :min_runs AND greatest(v.volume, u.median_rows) >= :min_rows
  AND (v.volume < u.median_rows * :low_ratio OR v.volume > u.median_rows * :high_ratio)
ORDER BY v.data_source, v.tablename
