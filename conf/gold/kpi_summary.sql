/*
grain: one KPI of one hospital of gold.dim_facility, or of all, as of one day
description: The figures that finance signs. Ratios are ratios of sums; a zero denominator gives NULL. Definitions and sources are in docs/kpis.md.
key: [as_of_date, data_source, kpi]
measures:
  numerator: as the KPI defines it, US dollars or claims, to the cent
  denominator: as the KPI defines it, US dollars, US dollars a day or claims; a daily rate to the millionth
  value: numerator over denominator; for balances the numerator itself
*/
WITH hospitals AS (
  SELECT facility_key AS data_source FROM gold.dim_facility WHERE facility_key <> '-1'
  UNION ALL SELECT 'all'
),
ar AS (
  SELECT coalesce(data_source, 'all') AS data_source,
         sum(ar_debit_amount) AS debit, sum(ar_credit_amount) AS credit,
         sum(CASE WHEN days_outstanding > 90 THEN ar_debit_amount ELSE 0 END) AS debit_over_90,
         sum(CASE WHEN service_date > date_sub(CAST(:as_of AS DATE), :revenue_window_days) AND service_date <= CAST(:as_of AS DATE)
                  THEN charge_amount ELSE 0 END) AS window_charges,
         sum(CASE WHEN is_in_scope THEN charge_amount ELSE 0 END) AS charges,
         sum(CASE WHEN is_in_scope THEN paid_as_of_amount ELSE 0 END) AS payments
  FROM gold.fact_transactions GROUP BY GROUPING SETS ((data_source), ())
),
claims AS (
  SELECT coalesce(data_source, 'all') AS data_source, count(*) AS all_claims, count_if(is_denied) AS denied, count_if(is_adjudicated) AS adjudicated,
         count_if(is_rejected) AS rejected, sum(billed_amount) AS billed, sum(CASE WHEN is_denied THEN billed_amount ELSE 0 END) AS denied_amount
  FROM gold.fact_claims WHERE claim_date IS NULL OR claim_date <= CAST(:as_of AS DATE) GROUP BY GROUPING SETS ((data_source), ())
),
listed AS (
  -- base is what the numerator is divided by, after `days`: a daily rate is rounded where it is shown, never before it is divided by.
  SELECT data_source, stack(5,
    'ar_over_90_rate', CAST(debit_over_90 AS DECIMAL(38, 6)), CAST(debit AS DECIMAL(38, 6)), 1, 'rate',
    'gross_days_in_ar', CAST(debit AS DECIMAL(38, 6)), CAST(window_charges AS DECIMAL(38, 6)), :revenue_window_days, 'days',
    'gross_collection_rate', CAST(payments AS DECIMAL(38, 6)), CAST(charges AS DECIMAL(38, 6)), 1, 'rate',
    'ar_debit_balance', CAST(debit AS DECIMAL(38, 6)), CAST(1 AS DECIMAL(38, 6)), 1, 'USD',
    'ar_credit_balance', CAST(credit AS DECIMAL(38, 6)), CAST(1 AS DECIMAL(38, 6)), 1, 'USD'
  ) AS (kpi, numerator, base, days, unit) FROM hospitals LEFT JOIN ar USING (data_source)
  UNION ALL
  SELECT data_source, stack(4,
    'denial_rate_all_claims', CAST(denied AS DECIMAL(38, 6)), CAST(all_claims AS DECIMAL(38, 6)), 1, 'rate',
    'denial_rate_adjudicated', CAST(denied AS DECIMAL(38, 6)), CAST(adjudicated AS DECIMAL(38, 6)), 1, 'rate',
    'rejection_rate', CAST(rejected AS DECIMAL(38, 6)), CAST(all_claims AS DECIMAL(38, 6)), 1, 'rate',
    'denial_rate_dollars', CAST(denied_amount AS DECIMAL(38, 6)), CAST(billed AS DECIMAL(38, 6)), 1, 'rate'
  ) AS (kpi, numerator, base, days, unit) FROM hospitals LEFT JOIN claims USING (data_source)
)
SELECT CAST(:as_of AS DATE) AS as_of_date, data_source, kpi, CAST(coalesce(numerator, 0) AS DECIMAL(18, 2)) AS numerator,
       CAST(coalesce(CAST(base / days AS DECIMAL(38, 6)), 0) AS DECIMAL(22, 6)) AS denominator,
       CAST(try_divide(coalesce(numerator, 0) * days, base) AS DECIMAL(18, 6)) AS value, unit
FROM listed
