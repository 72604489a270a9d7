/*
title: Runs without an end
row: a run that started long ago and has said nothing since; it hangs, or was killed and no run came after it
severity: error
parameters:
  now: {meaning: "the moment that is judged, UTC"}
  max_hours: {default: 12, meaning: "longest time a run may take"}
*/
SELECT r.run_id, r.started_at, r.host, r.process, r.environment, r.arguments, size(r.windows) AS planned_loads
FROM audit.runs r
LEFT ANTI JOIN (SELECT run_id FROM audit.load_logs WHERE layer = 'run') e ON e.run_id = r.run_id
WHERE r.started_at < CAST(:now AS TIMESTAMP) - make_dt_interval(0, :max_hours)
ORDER BY r.started_at
