/*
title: KPIs and facts of different days
row: a table of gold whose figures are as of another day than those of the other one; `spark-submit jobs/run_pipeline.py` builds both for one day
severity: error
at_rest: true
*/
WITH days AS (
  SELECT DISTINCT 'gold.kpi_summary' AS gold_table, as_of_date FROM gold.kpi_summary
  UNION ALL
  SELECT DISTINCT 'gold.fact_transactions', as_of_date FROM gold.fact_transactions
)
SELECT gold_table, as_of_date
FROM days
WHERE (SELECT count(DISTINCT as_of_date) FROM days) > 1
ORDER BY gold_table, as_of_date
