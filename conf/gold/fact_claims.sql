/*
grain: one current claim of one hospital
description: Claims with their state. Rejected claims were never adjudicated and are no denials. Dimensions are joined as they stood at the end
  of the service day in UTC. Each day has its key of dim_date, -1 for no day.
key: [claim_key]
measures:
  billed_amount: amount claimed, US dollars
  paid_amount: amount paid by the payer, US dollars
  patient_responsibility_amount: deductible, coinsurance and copayment, US dollars
  claim_lag_days: claim date less service date, days; negative is a data error
ties_out:
  rows: silver.claim
  billed_amount: silver.claim.billed_amount
  paid_amount: silver.claim.paid_amount
*/
WITH claims AS (
  SELECT *, CAST(date_add(coalesce(service_date, claim_date), 1) AS TIMESTAMP) AS joined_at FROM silver.claim WHERE is_current
)
SELECT a.claim_key, a.data_source, a.data_source AS facility_key, a.transaction_key, a.encounter_key,
       coalesce(p.patient_sk, '-1') AS patient_sk, a.patient_key,
       coalesce(v.provider_sk, '-1') AS provider_sk, a.provider_key,
       coalesce(d.department_sk, '-1') AS department_sk, a.department_key,
       coalesce(y.payer_sk, '-1') AS payer_sk, a.payer_key, a.payer_type,
       coalesce(year(a.service_date) * 10000 + month(a.service_date) * 100 + day(a.service_date), -1) AS service_date_key, a.service_date,
       coalesce(year(a.claim_date) * 10000 + month(a.claim_date) * 100 + day(a.claim_date), -1) AS claim_date_key, a.claim_date, a.claim_status,
       a.claim_status = 'denied' AS is_denied, a.claim_status = 'rejected' AS is_rejected,
       a.claim_status IN ('paid', 'approved', 'denied') AS is_adjudicated,
       a.billed_amount, a.paid_amount, a.deductible_amount, a.coinsurance_amount, a.copay_amount, a.patient_responsibility_amount,
       datediff(a.claim_date, a.service_date) AS claim_lag_days
FROM claims a
LEFT JOIN gold.dim_patient p ON p.patient_key = a.patient_key AND a.joined_at > p.valid_from AND (p.valid_to IS NULL OR a.joined_at <= p.valid_to)
LEFT JOIN gold.dim_provider v ON v.provider_key = a.provider_key AND a.joined_at > v.valid_from AND (v.valid_to IS NULL OR a.joined_at <= v.valid_to)
LEFT JOIN gold.dim_department d ON d.department_key = a.department_key AND a.joined_at > d.valid_from AND (d.valid_to IS NULL OR a.joined_at <= d.valid_to)
LEFT JOIN gold.dim_payer y ON y.payer_key = a.payer_key AND a.joined_at > y.valid_from AND (y.valid_to IS NULL OR a.joined_at <= y.valid_to)
