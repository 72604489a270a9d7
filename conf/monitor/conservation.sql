/*
title: Rows that are unaccounted for
row: a step whose counts do not add up, or that ended well without counts
severity: error
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 90, meaning: "days before now that are judged"}
*/
WITH counted AS (
  SELECT layer, data_source, tablename, target, status, load_id, run_id, finished_at, rows_read,
         coalesce(rows_written, 0) + coalesce(rows_duplicate, 0) + coalesce(rows_dropped, 0)
           + CASE WHEN layer = 'silver' THEN coalesce(rows_unchanged, 0) + coalesce(rows_quarantined, 0) ELSE 0 END AS rows_accounted
  FROM audit.load_logs
  WHERE layer IN ('bronze', 'reconcile', 'silver') AND (status = 'SUCCESS' OR rows_read IS NOT NULL)
    AND coalesce(finished_at, loaddate) <= CAST(:now AS TIMESTAMP) AND loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
)
SELECT layer, target, data_source, tablename, status, rows_read, rows_accounted, rows_read - rows_accounted AS rows_missing, load_id, run_id
FROM counted
WHERE rows_read IS NULL OR rows_read <> rows_accounted
ORDER BY finished_at, layer, target
