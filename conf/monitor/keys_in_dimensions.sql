/*
title: Keys that a dimension lacks, or has too many
row: a dimension whose distinct keys are not those of its silver table
severity: error
at_rest: true
*/
WITH expected AS (
  SELECT DISTINCT 'gold.dim_patient' AS dimension, patient_key AS entity_key FROM silver.patient
  UNION ALL SELECT DISTINCT 'gold.dim_provider', provider_key FROM silver.provider
  UNION ALL SELECT DISTINCT 'gold.dim_department', department_key FROM silver.department
  UNION ALL SELECT DISTINCT 'gold.dim_payer', payer_key FROM silver.payer
  UNION ALL SELECT DISTINCT 'gold.dim_procedure', procedure_code_key FROM silver.procedure_code
),
found AS (
  SELECT DISTINCT 'gold.dim_patient' AS dimension, patient_key AS entity_key FROM gold.dim_patient
  UNION ALL SELECT DISTINCT 'gold.dim_provider', provider_key FROM gold.dim_provider
  UNION ALL SELECT DISTINCT 'gold.dim_department', department_key FROM gold.dim_department
  UNION ALL SELECT DISTINCT 'gold.dim_payer', payer_key FROM gold.dim_payer
  UNION ALL SELECT DISTINCT 'gold.dim_procedure', procedure_code_key FROM gold.dim_procedure
),
compared AS (
  SELECT coalesce(e.dimension, f.dimension) AS dimension, e.entity_key IS NULL AS is_unknown, f.entity_key IS NULL AS is_missing
  FROM expected e
  FULL OUTER JOIN (SELECT dimension, entity_key FROM found WHERE entity_key NOT IN ('-1', '-2')) f
    ON f.dimension = e.dimension AND f.entity_key = e.entity_key
)
SELECT dimension, count_if(is_missing) AS keys_missing, count_if(is_unknown) AS keys_too_many
FROM compared
WHERE is_missing OR is_unknown
GROUP BY dimension
ORDER BY dimension
