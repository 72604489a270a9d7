/*
title: Watermarks that went back
row: a load that ended at a lower watermark than the one before it, or than it began with, without a reset
severity: error
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 90, meaning: "days before now that are judged"}
*/
-- Watermarks are text of one kind a load: integers are compared as numbers, days and times as times, anything else as text. A RESET
-- begins a new epoch: what stood before it is no measure for what comes after.
WITH ended AS (
  SELECT data_source, tablename, watermarkcolumnname, status, run_id, id, finished_at, watermark_before, watermark_after,
         count_if(status = 'RESET') OVER (PARTITION BY data_source, tablename ORDER BY finished_at, id) AS epoch
  FROM audit.load_logs
  WHERE layer = 'bronze' AND status IN ('SUCCESS', 'RESET') AND watermarkcolumnname IS NOT NULL AND finished_at <= CAST(:now AS TIMESTAMP)
    AND loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
),
marks AS (
  SELECT data_source, tablename, watermarkcolumnname, status, run_id, finished_at, watermark_before AS began_at_mark, watermark_after AS mark,
         last_value(watermark_after, true) OVER (PARTITION BY data_source, tablename, epoch ORDER BY finished_at, id
                                                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS mark_before
  FROM ended
),
pairs AS (
  SELECT data_source, tablename, watermarkcolumnname, run_id, finished_at, mark, explode(array(mark_before, began_at_mark)) AS earlier
  FROM marks
  WHERE mark IS NOT NULL AND status = 'SUCCESS'
)
SELECT DISTINCT data_source, tablename, watermarkcolumnname, earlier AS watermark_before, mark AS watermark_after, finished_at, run_id
FROM pairs
WHERE coalesce(try_cast(mark AS DECIMAL(38, 0)) < try_cast(earlier AS DECIMAL(38, 0)),
               try_cast(mark AS TIMESTAMP) < try_cast(earlier AS TIMESTAMP),
               mark < earlier)
ORDER BY finished_at, data_source, tablename
