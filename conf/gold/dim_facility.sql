/*
grain: one hospital that has any row in silver, with the member Unknown (-1)
description: The hospitals of the network.
key: [facility_key]
*/
SELECT '-1' AS facility_key, 'unknown' AS data_source
UNION ALL
SELECT data_source, data_source
FROM (
  SELECT data_source FROM silver.patient
  UNION SELECT data_source FROM silver.department
  UNION SELECT data_source FROM silver.encounter
  UNION SELECT data_source FROM silver.transaction
  UNION SELECT data_source FROM silver.claim
)
WHERE data_source IS NOT NULL
