/*
title: Rows lost between bronze and silver
row: a load of which silver took another number of rows than bronze has
severity: error
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 90, meaning: "days before now that are judged"}
*/
SELECT s.target AS silver_table, b.target AS bronze_table, b.rows_written AS rows_in_bronze, s.rows_read AS rows_taken, b.load_id, s.run_id
FROM audit.load_logs b
JOIN audit.load_logs s ON s.load_id = b.load_id AND s.layer = 'silver' AND s.rows_read IS NOT NULL
WHERE b.layer IN ('bronze', 'reconcile') AND b.rows_written > 0 AND s.rows_read <> b.rows_written
  AND coalesce(s.finished_at, s.loaddate) <= CAST(:now AS TIMESTAMP) AND s.loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
ORDER BY s.loaddate, silver_table, bronze_table
