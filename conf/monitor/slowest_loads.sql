/*
title: Slowest steps
row: a step and how long it takes, slowest first
severity: info
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 14, meaning: "days before now that are judged"}
*/
WITH timed AS (
  SELECT layer, seconds, rows_read, finished_at, run_id,
         CASE WHEN layer IN ('bronze', 'reconcile') THEN concat_ws('.', data_source, tablename) ELSE coalesce(target, concat(layer, '.', tablename)) END AS step
  FROM audit.load_logs
  WHERE layer <> 'run' AND status IN ('SUCCESS', 'FAILED') AND seconds IS NOT NULL AND finished_at <= CAST(:now AS TIMESTAMP)
    AND loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
),
-- A silver step has a row for each load it took, all with the time of the whole step.
steps AS (
  SELECT layer, step, run_id, max(seconds) AS seconds, sum(rows_read) AS rows_read, max(finished_at) AS finished_at
  FROM timed
  GROUP BY layer, step, run_id
)
SELECT layer, step, count(*) AS runs, CAST(median(seconds) AS DECIMAL(18, 1)) AS median_seconds, CAST(max(seconds) AS DECIMAL(18, 1)) AS max_seconds,
       CAST(max_by(seconds, finished_at) AS DECIMAL(18, 1)) AS newest_seconds,
       CAST(try_divide(sum(rows_read), sum(seconds)) AS BIGINT) AS rows_per_second
FROM steps
GROUP BY layer, step
ORDER BY max_seconds DESC, layer, step
