/*
grain: one current transaction of one hospital
description: Charges with payments and balance as of the as-of day. Dimensions are joined as they stood at the end of the service day in UTC; what
  has no match has the member Unknown (-1). Each day has its key of dim_date, -1 for no day. Of procedure codes the hospital's own list goes first,
  then the network's, then another hospital's.
  Transaction, encounter and claim numbers stay inside the keys, so this is a limited data set. A payment_status goes by amounts; that a charge was
  denied is told by is_denied of its claims in fact_claims.
key: [transaction_key]
measures:
  charge_amount: gross charge, US dollars
  paid_amount: payments in silver, US dollars
  paid_as_of_amount: payments with a paid date up to the as-of day, US dollars
  balance_amount: charge less payments in silver, US dollars
  ar_amount: charge less payments up to the as-of day for services up to it, US dollars; negative is a credit
  ar_debit_amount: positive part of ar_amount, US dollars
  ar_credit_amount: negative part of ar_amount, US dollars
  days_outstanding: as-of day less ageing date, days
ties_out:
  rows: silver.transaction
  charge_amount: silver.transaction.charge_amount
  paid_amount: silver.transaction.paid_amount
*/
WITH charges AS (
  SELECT *, CASE WHEN :ageing_basis = 'visit' THEN visit_date ELSE service_date END AS ageing_date,
         CAST(date_add(coalesce(service_date, visit_date), 1) AS TIMESTAMP) AS joined_at
  FROM silver.transaction WHERE is_current
),
valued AS (
  SELECT *,
         CAST(CASE WHEN paid_date IS NULL OR paid_date <= CAST(:as_of AS DATE) THEN coalesce(paid_amount, 0) ELSE 0 END AS DECIMAL(18, 2))
           AS paid_as_of_amount,
         coalesce(service_date <= CAST(:as_of AS DATE), true) AS is_in_scope
  FROM charges
),
aged AS (
  SELECT *, CAST(CASE WHEN is_in_scope THEN charge_amount - paid_as_of_amount ELSE 0 END AS DECIMAL(18, 2)) AS ar_amount,
         datediff(CAST(:as_of AS DATE), ageing_date) AS days_outstanding
  FROM valued
),
procedures AS (
  SELECT a.transaction_key,
         min_by(c.procedure_code_sk, struct(c.data_source <> a.data_source, c.data_source <> 'network', c.data_source)) AS procedure_code_sk
  FROM charges a
  JOIN gold.dim_procedure c ON c.code = a.procedure_code AND a.joined_at > c.valid_from AND (c.valid_to IS NULL OR a.joined_at <= c.valid_to)
  WHERE c.procedure_code_sk NOT IN ('-1', '-2')
  GROUP BY a.transaction_key
)
SELECT a.transaction_key, a.data_source, a.data_source AS facility_key, a.encounter_key,
       coalesce(p.patient_sk, '-1') AS patient_sk, a.patient_key,
       coalesce(v.provider_sk, '-1') AS provider_sk, a.provider_key,
       coalesce(d.department_sk, '-1') AS department_sk, a.department_key,
       coalesce(y.payer_sk, '-1') AS payer_sk, a.payer_key,
       coalesce(c.procedure_code_sk, '-1') AS procedure_code_sk, a.procedure_code, a.diagnosis_code,
       coalesce(year(a.visit_date) * 10000 + month(a.visit_date) * 100 + day(a.visit_date), -1) AS visit_date_key, a.visit_date,
       coalesce(year(a.service_date) * 10000 + month(a.service_date) * 100 + day(a.service_date), -1) AS service_date_key, a.service_date,
       coalesce(year(a.paid_date) * 10000 + month(a.paid_date) * 100 + day(a.paid_date), -1) AS paid_date_key, a.paid_date,
       coalesce(year(a.ageing_date) * 10000 + month(a.ageing_date) * 100 + day(a.ageing_date), -1) AS ageing_date_key, a.ageing_date,
       a.visit_type, a.amount_type, a.line_of_business, a.payment_status,
       a.charge_amount, a.paid_amount, a.paid_as_of_amount, a.balance_amount, a.ar_amount,
       CAST(greatest(a.ar_amount, 0) AS DECIMAL(18, 2)) AS ar_debit_amount, CAST(least(a.ar_amount, 0) AS DECIMAL(18, 2)) AS ar_credit_amount,
       a.days_outstanding,
       CASE WHEN a.days_outstanding IS NULL THEN 'undated' WHEN a.days_outstanding < 0 THEN 'not_due' WHEN a.days_outstanding <= 30 THEN '0-30'
            WHEN a.days_outstanding <= 60 THEN '31-60' WHEN a.days_outstanding <= 90 THEN '61-90'
            WHEN a.days_outstanding <= 120 THEN '91-120' ELSE '>120' END AS ageing_bucket,
       a.is_in_scope,
       year(CAST(:as_of AS DATE)) * 10000 + month(CAST(:as_of AS DATE)) * 100 + day(CAST(:as_of AS DATE)) AS as_of_date_key,
       CAST(:as_of AS DATE) AS as_of_date
FROM aged a
LEFT JOIN gold.dim_patient p ON p.patient_key = a.patient_key AND a.joined_at > p.valid_from AND (p.valid_to IS NULL OR a.joined_at <= p.valid_to)
LEFT JOIN gold.dim_provider v ON v.provider_key = a.provider_key AND a.joined_at > v.valid_from AND (v.valid_to IS NULL OR a.joined_at <= v.valid_to)
LEFT JOIN gold.dim_department d ON d.department_key = a.department_key AND a.joined_at > d.valid_from AND (d.valid_to IS NULL OR a.joined_at <= d.valid_to)
LEFT JOIN gold.dim_payer y ON y.payer_key = a.payer_key AND a.joined_at > y.valid_from AND (y.valid_to IS NULL OR a.joined_at <= y.valid_to)
LEFT JOIN procedures c ON c.transaction_key = a.transaction_key
