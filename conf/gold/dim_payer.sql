/*
grain: one version of one payer of one hospital, with the members Unknown (-1) and Invalid (-2)
description: Payers as named on claims and charges, with their class.
key: [payer_sk]
*/
SELECT '-1' AS payer_sk, '-1' AS payer_key, 'unknown' AS data_source, 'unknown' AS payer_name, 'unknown' AS payer_class, 0 AS version,
       TIMESTAMP'1600-01-01 00:00:00' AS valid_from, CAST(NULL AS TIMESTAMP) AS valid_to, true AS is_current
UNION ALL
SELECT '-2', '-2', 'unknown', 'unknown', 'unknown', 0, TIMESTAMP'1600-01-01 00:00:00', NULL, true
UNION ALL
SELECT payer_sk, payer_key, data_source, coalesce(name, 'unknown'), payer_class, version,
       CASE WHEN version = 1 THEN TIMESTAMP'1600-01-01 00:00:00' ELSE effective_from END, effective_to, is_current
FROM silver.payer
