/*
grain: one day, from the first of January nine years before the as-of year to the end of the year after it
description: The calendar, with the fiscal year of the network.
key: [date]
*/
SELECT date, year(date) AS year, quarter(date) AS quarter, month(date) AS month, day(date) AS day, weekday(date) + 1 AS iso_weekday,
       weekofyear(date) AS iso_week, weekday(date) >= 5 AS is_weekend, last_day(date) = date AS is_month_end,
       date_format(date, 'yyyy-MM') AS year_month,
       year(date) + CASE WHEN :fiscal_year_start_month > 1 AND month(date) >= :fiscal_year_start_month THEN 1 ELSE 0 END AS fiscal_year
FROM (SELECT explode(sequence(make_date(year(CAST(:as_of AS DATE)) - 9, 1, 1), make_date(year(CAST(:as_of AS DATE)) + 1, 12, 31))) AS date)
