/*
grain: one version of one provider of one hospital, with the members Unknown (-1) and Invalid (-2)
description: Clinicians by number and specialty.
key: [provider_sk]
*/
SELECT '-1' AS provider_sk, '-1' AS provider_key, 'unknown' AS data_source, CAST(NULL AS STRING) AS npi, false AS npi_valid, 'unknown' AS specialty, CAST(NULL AS STRING) AS department_key, 0 AS version,
       TIMESTAMP'1600-01-01 00:00:00' AS valid_from, CAST(NULL AS TIMESTAMP) AS valid_to, true AS is_current
UNION ALL
SELECT '-2', '-2', 'unknown', NULL, false, 'unknown', NULL, 0, TIMESTAMP'1600-01-01 00:00:00', NULL, true
UNION ALL
SELECT provider_sk, provider_key, data_source, npi, coalesce(npi_valid, false), coalesce(specialty, 'unknown'), department_key, version,
       CASE WHEN version = 1 THEN TIMESTAMP'1600-01-01 00:00:00' ELSE effective_from END, effective_to, is_current
FROM silver.provider
