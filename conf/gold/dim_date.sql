/*
grain: one day, with the members Unknown (-1) and Invalid (-2)
description: The calendar, with the fiscal year of the network. It has every day from the first of January nine years before the as-of year to the
  end of the year after it, and outside of that each day that a version in silver names, so that every fact finds its days. A fact without a day
  has the member Unknown. The members have no date and no numbers (NULL), 'unknown' for a text, and are neither a weekend nor the end of a month.
  The iso_week counts within the iso_year, which differs from the year around New Year.
key: [date_key]
*/
WITH days AS (
  SELECT explode(sequence(make_date(year(CAST(:as_of AS DATE)) - 9, 1, 1), make_date(year(CAST(:as_of AS DATE)) + 1, 12, 31))) AS date
  UNION SELECT encounter_date FROM silver.encounter
  UNION SELECT explode(array(service_date, claim_date)) FROM silver.claim
  UNION SELECT explode(array(service_date, visit_date, paid_date)) FROM silver.transaction
)
SELECT -1 AS date_key, CAST(NULL AS DATE) AS date, CAST(NULL AS INT) AS year, CAST(NULL AS INT) AS quarter, CAST(NULL AS INT) AS month,
       CAST(NULL AS INT) AS day, CAST(NULL AS INT) AS iso_weekday, CAST(NULL AS INT) AS iso_week, CAST(NULL AS INT) AS iso_year,
       false AS is_weekend, false AS is_month_end, 'unknown' AS year_month, CAST(NULL AS INT) AS fiscal_year
UNION ALL
SELECT -2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, false, 'unknown', NULL
UNION ALL
SELECT year(date) * 10000 + month(date) * 100 + day(date), date, year(date), quarter(date), month(date), day(date), weekday(date) + 1,
       weekofyear(date), year(date_add(date, 3 - weekday(date))), weekday(date) >= 5, last_day(date) = date, date_format(date, 'yyyy-MM'),
       year(date) + CASE WHEN :fiscal_year_start_month > 1 AND month(date) >= :fiscal_year_start_month THEN 1 ELSE 0 END
FROM days
WHERE date IS NOT NULL
