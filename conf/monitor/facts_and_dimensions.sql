/*
title: Facts without exactly one version of a dimension
row: a fact and a dimension, with the facts that meet no version or several; `itself` stands for facts that are there twice
severity: error
at_rest: true
*/
WITH links AS (
  SELECT 'gold.fact_transactions' AS fact, transaction_key AS fact_key,
         stack(5, 'gold.dim_patient', patient_sk, 'gold.dim_provider', provider_sk, 'gold.dim_department', department_sk,
               'gold.dim_payer', payer_sk, 'gold.dim_procedure', procedure_code_sk) AS (dimension, version_sk)
  FROM gold.fact_transactions
  UNION ALL
  SELECT 'gold.fact_encounters', encounter_key,
         stack(3, 'gold.dim_patient', patient_sk, 'gold.dim_provider', provider_sk, 'gold.dim_department', department_sk) AS (dimension, version_sk)
  FROM gold.fact_encounters
  UNION ALL
  SELECT 'gold.fact_claims', claim_key,
         stack(4, 'gold.dim_patient', patient_sk, 'gold.dim_provider', provider_sk, 'gold.dim_department', department_sk,
               'gold.dim_payer', payer_sk) AS (dimension, version_sk)
  FROM gold.fact_claims
),
members AS (
  SELECT 'gold.dim_patient' AS dimension, patient_sk AS version_sk FROM gold.dim_patient
  UNION ALL SELECT 'gold.dim_provider', provider_sk FROM gold.dim_provider
  UNION ALL SELECT 'gold.dim_department', department_sk FROM gold.dim_department
  UNION ALL SELECT 'gold.dim_payer', payer_sk FROM gold.dim_payer
  UNION ALL SELECT 'gold.dim_procedure', procedure_code_sk FROM gold.dim_procedure
),
matches AS (
  SELECT dimension, version_sk, count(*) AS versions FROM members GROUP BY dimension, version_sk
),
judged AS (
  SELECT l.fact, l.dimension, count_if(m.versions IS NULL) AS facts_with_none, count_if(m.versions > 1) AS facts_with_several
  FROM links l
  LEFT JOIN matches m ON m.dimension = l.dimension AND m.version_sk = l.version_sk
  GROUP BY l.fact, l.dimension
  UNION ALL
  SELECT fact, 'itself', 0, count(*) - count(DISTINCT fact_key) FROM links WHERE dimension = 'gold.dim_patient' GROUP BY fact
)
SELECT fact, dimension, facts_with_none, facts_with_several
FROM judged
WHERE facts_with_none > 0 OR facts_with_several > 0
ORDER BY fact, dimension
