/*
title: Facts without exactly one version of a dimension
row: a fact and its key of a dimension, with the facts that meet no version or several; `itself` stands for facts that are there twice
severity: error
at_rest: true
*/
WITH links AS (
  SELECT 'gold.fact_transactions' AS fact, transaction_key AS fact_key,
         stack(10, 'gold.dim_patient', 'patient_sk', patient_sk, 'gold.dim_provider', 'provider_sk', provider_sk,
               'gold.dim_department', 'department_sk', department_sk, 'gold.dim_payer', 'payer_sk', payer_sk,
               'gold.dim_procedure', 'procedure_code_sk', procedure_code_sk,
               'gold.dim_date', 'visit_date_key', CAST(visit_date_key AS STRING), 'gold.dim_date', 'service_date_key', CAST(service_date_key AS STRING),
               'gold.dim_date', 'paid_date_key', CAST(paid_date_key AS STRING), 'gold.dim_date', 'ageing_date_key', CAST(ageing_date_key AS STRING),
               'gold.dim_date', 'as_of_date_key', CAST(as_of_date_key AS STRING)) AS (dimension, link, version_sk)
  FROM gold.fact_transactions
  UNION ALL
  SELECT 'gold.fact_encounters', encounter_key,
         stack(4, 'gold.dim_patient', 'patient_sk', patient_sk, 'gold.dim_provider', 'provider_sk', provider_sk,
               'gold.dim_department', 'department_sk', department_sk,
               'gold.dim_date', 'encounter_date_key', CAST(encounter_date_key AS STRING)) AS (dimension, link, version_sk)
  FROM gold.fact_encounters
  UNION ALL
  SELECT 'gold.fact_claims', claim_key,
         stack(6, 'gold.dim_patient', 'patient_sk', patient_sk, 'gold.dim_provider', 'provider_sk', provider_sk,
               'gold.dim_department', 'department_sk', department_sk, 'gold.dim_payer', 'payer_sk', payer_sk,
               'gold.dim_date', 'service_date_key', CAST(service_date_key AS STRING),
               'gold.dim_date', 'claim_date_key', CAST(claim_date_key AS STRING)) AS (dimension, link, version_sk)
  FROM gold.fact_claims
),
members AS (
  SELECT 'gold.dim_patient' AS dimension, patient_sk AS version_sk FROM gold.dim_patient
  UNION ALL SELECT 'gold.dim_provider', provider_sk FROM gold.dim_provider
  UNION ALL SELECT 'gold.dim_department', department_sk FROM gold.dim_department
  UNION ALL SELECT 'gold.dim_payer', payer_sk FROM gold.dim_payer
  UNION ALL SELECT 'gold.dim_procedure', procedure_code_sk FROM gold.dim_procedure
  UNION ALL SELECT 'gold.dim_date', CAST(date_key AS STRING) FROM gold.dim_date
),
matches AS (
  SELECT dimension, version_sk, count(*) AS versions FROM members GROUP BY dimension, version_sk
),
judged AS (
  SELECT l.fact, l.dimension, l.link, count_if(m.versions IS NULL) AS facts_with_none, count_if(m.versions > 1) AS facts_with_several
  FROM links l
  LEFT JOIN matches m ON m.dimension = l.dimension AND m.version_sk = l.version_sk
  GROUP BY l.fact, l.dimension, l.link
  UNION ALL
  SELECT fact, 'itself', NULL, 0, count(*) - count(DISTINCT fact_key) FROM links WHERE dimension = 'gold.dim_patient' GROUP BY fact
)
SELECT fact, dimension, link, facts_with_none, facts_with_several
FROM judged
WHERE facts_with_none > 0 OR facts_with_several > 0
ORDER BY fact, dimension, link
