/*
grain: one version of one department of one hospital, with the members Unknown (-1) and Invalid (-2)
description: Departments of the hospitals.
key: [department_sk]
*/
SELECT '-1' AS department_sk, '-1' AS department_key, 'unknown' AS data_source, 'unknown' AS source_department_id, 'unknown' AS department_name, 0 AS version,
       TIMESTAMP'1600-01-01 00:00:00' AS valid_from, CAST(NULL AS TIMESTAMP) AS valid_to, true AS is_current
UNION ALL
SELECT '-2', '-2', 'unknown', 'unknown', 'unknown', 0, TIMESTAMP'1600-01-01 00:00:00', NULL, true
UNION ALL
SELECT department_sk, department_key, data_source, source_department_id, coalesce(name, 'unknown'), version,
       CASE WHEN version = 1 THEN TIMESTAMP'1600-01-01 00:00:00' ELSE effective_from END, effective_to, is_current
FROM silver.department
