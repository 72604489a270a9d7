/*
grain: one version of one provider of one hospital, with the members Unknown (-1) and Invalid (-2)
description: "Clinicians by number and specialty, with what the NPI registry says of the number today: registry_status (active, inactive, not_found; unknown when
  it was never asked, as for a number with a wrong check digit), registry_taxonomy (NUCC code), registry_deactivation_date (a service after it deserves a look),
  and registry_is_stale (the answer is older than its source allows, because the registry could not be asked again)."
key: [provider_sk]
*/
WITH registry AS (
  SELECT npi, max_by(struct(status, primary_taxonomy_code, deactivation_date, good_until), checked_at) AS entry FROM silver.ref_npi WHERE is_current GROUP BY npi
)
SELECT '-1' AS provider_sk, '-1' AS provider_key, 'unknown' AS data_source, CAST(NULL AS STRING) AS npi, false AS npi_valid, 'unknown' AS specialty, CAST(NULL AS STRING) AS department_key, 0 AS version,
       TIMESTAMP'1600-01-01 00:00:00' AS valid_from, CAST(NULL AS TIMESTAMP) AS valid_to, true AS is_current,
       'unknown' AS registry_status, 'unknown' AS registry_taxonomy, CAST(NULL AS DATE) AS registry_deactivation_date, false AS registry_is_stale
UNION ALL
SELECT '-2', '-2', 'unknown', NULL, false, 'unknown', NULL, 0, TIMESTAMP'1600-01-01 00:00:00', NULL, true, 'unknown', 'unknown', NULL, false
UNION ALL
SELECT p.provider_sk, p.provider_key, p.data_source, p.npi, coalesce(p.npi_valid, false), coalesce(p.specialty, 'unknown'), p.department_key, p.version,
       CASE WHEN p.version = 1 THEN TIMESTAMP'1600-01-01 00:00:00' ELSE p.effective_from END, p.effective_to, p.is_current,
       coalesce(r.entry.status, 'unknown'), coalesce(r.entry.primary_taxonomy_code, 'unknown'),
       CASE WHEN r.entry.status = 'inactive' THEN r.entry.deactivation_date END,
       coalesce(r.entry.good_until < CAST(:as_of AS DATE), false)
FROM silver.provider p
LEFT JOIN registry r ON r.npi = p.npi
