/*
title: Rows by load and day
row: a load and day, newest first; counts are source rows
severity: info
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 7, meaning: "days before now that are shown"}
*/
SELECT to_date(coalesce(finished_at, loaddate)) AS day, data_source, tablename, count_if(layer = 'bronze') AS loads,
       sum(CASE WHEN layer = 'bronze' THEN rows_read END) AS rows_read,
       sum(CASE WHEN layer = 'bronze' THEN rows_written END) AS rows_written,
       sum(CASE WHEN layer = 'bronze' THEN rows_duplicate END) AS rows_duplicate,
       sum(CASE WHEN layer = 'bronze' THEN rows_dropped END) AS rows_dropped,
       sum(CASE WHEN layer = 'silver' THEN rows_quarantined END) AS rows_quarantined,
       CAST(sum(CASE WHEN layer = 'bronze' THEN seconds END) AS DECIMAL(18, 1)) AS seconds
FROM audit.load_logs
WHERE layer IN ('bronze', 'silver') AND data_source IS NOT NULL AND status IN ('SUCCESS', 'NOOP', 'HELD', 'FAILED')
  AND coalesce(finished_at, loaddate) <= CAST(:now AS TIMESTAMP) AND loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
GROUP BY to_date(coalesce(finished_at, loaddate)), data_source, tablename
ORDER BY day DESC, data_source, tablename
