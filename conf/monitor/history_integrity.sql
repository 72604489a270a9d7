/*
title: Histories that contradict themselves
row: an entity, a hospital and a kind of contradiction, with the number of versions that have it
severity: error
at_rest: true
for_each: entity
parameters:
  entity: {meaning: "an entity of conf/cdm, like patient"}
*/
-- A version ends where the next begins, or at a recorded delete; versions of a key do not overlap; a key has one open version, and none
-- once it was deleted.
WITH versions AS (
  SELECT data_source, IDENTIFIER(:entity || '_key') AS entity_key, effective_from, effective_to, is_current FROM IDENTIFIER('silver.' || :entity)
),
deletes AS (
  SELECT DISTINCT IDENTIFIER(:entity || '_key') AS entity_key, deleted_at FROM IDENTIFIER('silver.' || :entity || '_tombstones')
),
last_deletes AS (
  SELECT entity_key, max(deleted_at) AS last_deleted_at FROM deletes GROUP BY entity_key
),
ordered AS (
  SELECT data_source, entity_key, effective_from, effective_to, is_current,
         lead(effective_from) OVER (PARTITION BY entity_key ORDER BY effective_from, effective_to) AS next_from
  FROM versions
),
judged AS (
  SELECT o.data_source,
         CASE WHEN o.effective_to <= o.effective_from THEN 'ends before it begins'
              WHEN o.next_from IS NOT NULL AND coalesce(o.effective_to > o.next_from, true) THEN 'overlaps the next version'
              WHEN o.effective_to IS NOT NULL AND coalesce(o.effective_to < o.next_from, true) AND d.deleted_at IS NULL THEN 'ends without a delete'
              WHEN o.effective_to IS NULL AND l.last_deleted_at >= o.effective_from THEN 'is open though its key was deleted'
              WHEN o.is_current <> (o.effective_to IS NULL) THEN 'is_current and effective_to disagree'
         END AS contradiction
  FROM ordered o
  LEFT JOIN deletes d ON d.entity_key = o.entity_key AND d.deleted_at = o.effective_to
  LEFT JOIN last_deletes l ON l.entity_key = o.entity_key
)
SELECT :entity AS entity, data_source, contradiction, count(*) AS versions
FROM judged
WHERE contradiction IS NOT NULL
GROUP BY data_source, contradiction
ORDER BY data_source, contradiction
