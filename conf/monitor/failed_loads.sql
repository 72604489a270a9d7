/*
title: Failed and abandoned loads
row: a step that did not end well in the newest run that had it, or a hospital's rows in silver that are held; what only waited for it is left out
severity: error
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 30, meaning: "days before now in which a step's newest run is looked for"}
*/
WITH ended AS (
  SELECT layer, run_id, data_source, status, attempt, error_class, coalesce(finished_at, loaddate) AS ended_at,
         -- What is held, and the way out, stands in the message of a comparison but in the warnings of a snapshot.
         CASE WHEN status = 'HELD' THEN coalesce(message, array_join(warnings, '; ')) ELSE message END AS message,
         CASE WHEN layer = 'run' THEN 'run'
              WHEN layer IN ('bronze', 'reconcile') THEN concat_ws('.', data_source, tablename)
              ELSE coalesce(target, concat(layer, '.', tablename)) END AS step,
         -- Hospitals share a step of silver, and one is held though the others go on. A step that failed has no hospital.
         CASE WHEN layer = 'silver' AND data_source IS NOT NULL THEN concat_ws('.', data_source, tablename) END AS part
  FROM audit.load_logs
  WHERE coalesce(finished_at, loaddate) <= CAST(:now AS TIMESTAMP) AND loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
    -- A comparison that was not begun says nothing of the one before.
    AND NOT (layer = 'reconcile' AND status = 'OUTSIDE_HOURS')
),
parts AS (
  SELECT layer, step, part, max_by(run_id, ended_at) AS newest_run_id, max(CASE WHEN status IN ('SUCCESS', 'NOOP') THEN ended_at END) AS last_good_at
  FROM ended
  WHERE part IS NOT NULL
  GROUP BY layer, step, part
  UNION ALL
  SELECT layer, step, NULL AS part, max_by(run_id, ended_at) AS newest_run_id, max(CASE WHEN status IN ('SUCCESS', 'NOOP') THEN ended_at END) AS last_good_at
  FROM ended
  GROUP BY layer, step
)
-- A failed run is told by its steps. One that was stopped or killed may have none, so it stands for itself.
SELECT e.layer, e.step, e.data_source, e.status, e.ended_at, p.last_good_at, e.attempt, e.error_class, e.message, e.run_id
FROM ended e
JOIN parts p ON p.layer = e.layer AND p.step = e.step AND p.part <=> e.part AND p.newest_run_id = e.run_id
WHERE e.status IN ('ABANDONED', 'CANCELLED') OR (e.status IN ('FAILED', 'HELD') AND e.layer <> 'run')
ORDER BY e.ended_at, e.layer, e.step, e.data_source
