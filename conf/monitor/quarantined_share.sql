/*
title: Much in quarantine
row: an entity and hospital of whose rows a large part failed the rules of late
severity: warn
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  lookback_days: {default: 7, meaning: "days before now that are judged together"}
  max_share: {default: 0.05, meaning: "quarantined / read; above it a row is shown"}
  min_rows: {default: 20, meaning: "fewer quarantined rows are not shown"}
*/
SELECT target AS silver_table, data_source, sum(rows_read) AS rows_read, sum(rows_quarantined) AS rows_quarantined,
       CAST(sum(rows_quarantined) / sum(rows_read) AS DECIMAL(9, 4)) AS quarantined_rate, max(finished_at) AS newest_at
FROM audit.load_logs
WHERE layer = 'silver' AND rows_read > 0 AND finished_at <= CAST(:now AS TIMESTAMP)
  AND loaddate >= date_sub(to_date(CAST(:now AS TIMESTAMP)), :lookback_days)
GROUP BY target, data_source
HAVING sum(rows_quarantined) >= :min_rows AND sum(rows_quarantined) > :max_share * sum(rows_read)
ORDER BY quarantined_rate DESC, silver_table, data_source
