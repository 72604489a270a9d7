/*
title: Failed and abandoned loads
row: a step that did not end well in the newest run that had it; what only waited for it is left out
severity: error
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 30, meaning: "days before now in which a step's newest run is looked for"}
*/
WITH ended AS (
  SELECT layer, run_id, status, attempt, error_class, message, coalesce(finished_at, loaddate) AS ended_at,
         CASE WHEN layer = 'run' THEN 'run'
              WHEN layer IN ('bronze', 'reconcile') THEN concat_ws('.', data_source, tablename)
              ELSE coalesce(target, concat(layer, '.', tablename)) END AS step
  FROM audit.load_logs
  WHERE coalesce(finished_at, loaddate) <= CAST(:now AS TIMESTAMP) AND loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
),
steps AS (
  SELECT layer, step, max_by(run_id, ended_at) AS newest_run_id, max(CASE WHEN status IN ('SUCCESS', 'NOOP') THEN ended_at END) AS last_good_at
  FROM ended
  GROUP BY layer, step
)
-- A failed run is told by its steps. One that was stopped or killed may have none, so it stands for itself.
SELECT e.layer, e.step, e.status, e.ended_at, s.last_good_at, e.attempt, e.error_class, e.message, e.run_id
FROM ended e
JOIN steps s ON s.layer = e.layer AND s.step = e.step AND s.newest_run_id = e.run_id
WHERE e.status IN ('ABANDONED', 'CANCELLED') OR (e.status IN ('FAILED', 'HELD') AND e.layer <> 'run')
ORDER BY e.ended_at, e.layer, e.step
