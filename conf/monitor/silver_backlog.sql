/*
title: Batches that wait for silver
row: a bronze table of which a silver table has not taken every batch, the oldest for longer than allowed
severity: warn
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  max_age_hours: {default: 24, meaning: "hours a batch may wait"}
*/
WITH progress AS (
  SELECT target, max_by(consumed, finished_at) AS consumed
  FROM audit.load_logs
  WHERE layer = 'silver' AND consumed IS NOT NULL AND finished_at <= CAST(:now AS TIMESTAMP)
  GROUP BY target
),
taken AS (
  SELECT target, explode(from_json(consumed, 'map<string,bigint>')) AS (bronze_table, batch_seq) FROM progress
),
batches AS (
  SELECT target AS bronze_table, batch_seq, rows_written, coalesce(finished_at, loaddate) AS ended_at
  FROM audit.load_logs
  WHERE layer IN ('bronze', 'reconcile') AND rows_written > 0 AND coalesce(finished_at, loaddate) <= CAST(:now AS TIMESTAMP)
)
SELECT t.target AS silver_table, t.bronze_table, count(*) AS batches_waiting, sum(b.rows_written) AS rows_waiting, min(b.ended_at) AS since
FROM taken t
JOIN batches b ON b.bronze_table = t.bronze_table AND b.batch_seq > t.batch_seq
GROUP BY t.target, t.bronze_table
HAVING min(b.ended_at) < CAST(:now AS TIMESTAMP) - make_dt_interval(0, :max_age_hours)
ORDER BY since, silver_table, bronze_table
