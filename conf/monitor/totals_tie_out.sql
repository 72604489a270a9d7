/*
title: Totals that differ between silver and gold
row: a fact and a total (rows, or an amount in US dollars) that is not that of the current silver rows
severity: error
at_rest: true
*/
WITH totals AS (
  SELECT 'gold.fact_transactions' AS fact, 'silver' AS layer, count(*) AS rows_total, sum(charge_amount) AS billed, sum(paid_amount) AS paid
  FROM silver.transaction WHERE is_current
  UNION ALL
  SELECT 'gold.fact_transactions', 'gold', count(*), sum(charge_amount), sum(paid_amount) FROM gold.fact_transactions
  UNION ALL
  SELECT 'gold.fact_claims', 'silver', count(*), sum(billed_amount), sum(paid_amount) FROM silver.claim WHERE is_current
  UNION ALL
  SELECT 'gold.fact_claims', 'gold', count(*), sum(billed_amount), sum(paid_amount) FROM gold.fact_claims
),
listed AS (
  SELECT fact, layer, stack(3, 'rows', CAST(rows_total AS DECIMAL(38, 2)), 'billed', CAST(coalesce(billed, 0) AS DECIMAL(38, 2)),
                            'paid', CAST(coalesce(paid, 0) AS DECIMAL(38, 2))) AS (total, value)
  FROM totals
)
SELECT fact, total, max(CASE WHEN layer = 'silver' THEN value END) AS in_silver, max(CASE WHEN layer = 'gold' THEN value END) AS in_gold
FROM listed
GROUP BY fact, total
HAVING max(CASE WHEN layer = 'silver' THEN value END) <> max(CASE WHEN layer = 'gold' THEN value END)
ORDER BY fact, total
