/*
title: Steps that did not end well, by day
row: a step and day on which it failed, was held, stopped or abandoned, mended since or not
severity: info
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 14, meaning: "days before now that are shown"}
*/
WITH ended AS (
  SELECT layer, status, error_class, to_date(coalesce(finished_at, loaddate)) AS day,
         CASE WHEN layer IN ('bronze', 'reconcile') THEN concat_ws('.', data_source, tablename) ELSE coalesce(target, concat(layer, '.', tablename)) END AS step
  FROM audit.load_logs
  WHERE layer <> 'run' AND status IN ('FAILED', 'HELD', 'CANCELLED', 'ABANDONED', 'SKIPPED_UPSTREAM')
    AND coalesce(finished_at, loaddate) <= CAST(:now AS TIMESTAMP) AND loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
)
SELECT day, layer, step, status, count(*) AS times, array_join(sort_array(collect_set(error_class)), ', ') AS error_classes
FROM ended
GROUP BY day, layer, step, status
ORDER BY day DESC, layer, step, status
