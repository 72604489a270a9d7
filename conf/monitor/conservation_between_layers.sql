/*
title: Rows lost between bronze and silver
row: a load of which silver took another number of rows than bronze has
severity: error
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 90, meaning: "days before now that are judged"}
*/
-- Files of one load may be taken by several steps of a run, and by two runs when the first of them died; a table built anew takes a load once more.
WITH taken AS (
  SELECT target, load_id, run_id, sum(rows_read) AS rows_of_run, max(loaddate) AS loaddate
  FROM audit.load_logs
  WHERE layer = 'silver' AND rows_read IS NOT NULL AND load_id IS NOT NULL AND coalesce(finished_at, loaddate) <= CAST(:now AS TIMESTAMP)
    AND loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
  GROUP BY target, load_id, run_id
),
loads AS (
  SELECT target, load_id, max(rows_of_run) AS most, sum(rows_of_run) AS together, max_by(run_id, loaddate) AS run_id, max(loaddate) AS loaddate
  FROM taken GROUP BY target, load_id
)
SELECT s.target AS silver_table, b.target AS bronze_table, b.rows_written AS rows_in_bronze, s.together AS rows_taken, b.load_id, s.run_id
FROM audit.load_logs b
JOIN loads s ON s.load_id = b.load_id
WHERE b.layer IN ('bronze', 'reconcile') AND b.rows_written > 0 AND s.most <> b.rows_written AND s.together <> b.rows_written
ORDER BY s.loaddate, silver_table, bronze_table
