/*
grain: one version of one procedure code of one hospital, with the members Unknown (-1) and Invalid (-2)
description: Procedure codes with category and status; no descriptors.
key: [procedure_code_sk]
*/
SELECT '-1' AS procedure_code_sk, '-1' AS procedure_code_key, 'unknown' AS data_source, 'unknown' AS code, 'unknown' AS category, 'unknown' AS status, 0 AS version,
       TIMESTAMP'1600-01-01 00:00:00' AS valid_from, CAST(NULL AS TIMESTAMP) AS valid_to, true AS is_current
UNION ALL
SELECT '-2', '-2', 'unknown', 'unknown', 'unknown', 'unknown', 0, TIMESTAMP'1600-01-01 00:00:00', NULL, true
UNION ALL
SELECT procedure_code_sk, procedure_code_key, data_source, code, coalesce(category, 'unknown'), coalesce(status, 'unknown'), version,
       CASE WHEN version = 1 THEN TIMESTAMP'1600-01-01 00:00:00' ELSE effective_from END, effective_to, is_current
FROM silver.procedure_code
