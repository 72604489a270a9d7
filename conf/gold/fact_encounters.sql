/*
grain: one current encounter of one hospital
description: Encounters with the charges and payments of their transactions. Dimensions are joined as they stood at the end of the day of the
  encounter in UTC. The day's key is that of dim_date, -1 for no day.
key: [encounter_key]
measures:
  transaction_count: current transactions of the encounter
  charge_amount: their gross charges, US dollars
  paid_amount: their payments, US dollars
ties_out:
  rows: silver.encounter
*/
WITH encounters AS (
  SELECT *, CAST(date_add(encounter_date, 1) AS TIMESTAMP) AS joined_at FROM silver.encounter WHERE is_current
),
charges AS (
  SELECT encounter_key, count(*) AS transaction_count, sum(charge_amount) AS charge_amount, sum(paid_amount) AS paid_amount
  FROM silver.transaction WHERE is_current AND encounter_key IS NOT NULL GROUP BY encounter_key
)
SELECT a.encounter_key, a.data_source, a.data_source AS facility_key,
       coalesce(p.patient_sk, '-1') AS patient_sk, a.patient_key,
       coalesce(v.provider_sk, '-1') AS provider_sk, a.provider_key,
       coalesce(d.department_sk, '-1') AS department_sk, a.department_key,
       coalesce(year(a.encounter_date) * 10000 + month(a.encounter_date) * 100 + day(a.encounter_date), -1) AS encounter_date_key,
       a.encounter_date, a.encounter_type, a.procedure_code,
       coalesce(t.transaction_count, 0) AS transaction_count,
       CAST(coalesce(t.charge_amount, 0) AS DECIMAL(18, 2)) AS charge_amount, CAST(coalesce(t.paid_amount, 0) AS DECIMAL(18, 2)) AS paid_amount
FROM encounters a
LEFT JOIN charges t ON t.encounter_key = a.encounter_key
LEFT JOIN gold.dim_patient p ON p.patient_key = a.patient_key AND a.joined_at > p.valid_from AND (p.valid_to IS NULL OR a.joined_at <= p.valid_to)
LEFT JOIN gold.dim_provider v ON v.provider_key = a.provider_key AND a.joined_at > v.valid_from AND (v.valid_to IS NULL OR a.joined_at <= v.valid_to)
LEFT JOIN gold.dim_department d ON d.department_key = a.department_key AND a.joined_at > d.valid_from AND (d.valid_to IS NULL OR a.joined_at <= d.valid_to)
