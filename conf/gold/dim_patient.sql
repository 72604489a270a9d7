/*
grain: one version of one patient of one hospital, with the members Unknown (-1) and Invalid (-2)
description: Patients without anything that names a person. Ages above 89 and small ZIP areas are folded as HIPAA Safe Harbor asks.
key: [patient_sk]
*/
SELECT '-1' AS patient_sk, '-1' AS patient_key, 'unknown' AS data_source, 'unknown' AS gender, 'unknown' AS age_band,
       'unknown' AS state, '000' AS zip3, 0 AS version, TIMESTAMP'1600-01-01 00:00:00' AS valid_from, CAST(NULL AS TIMESTAMP) AS valid_to,
       true AS is_current
UNION ALL
SELECT '-2', '-2', 'unknown', 'unknown', 'unknown', 'unknown', '000', 0, TIMESTAMP'1600-01-01 00:00:00', NULL, true
UNION ALL
SELECT patient_sk, patient_key, data_source, coalesce(gender, 'unknown'),
       CASE WHEN birth_date IS NULL OR birth_date > CAST(:as_of AS DATE) THEN 'unknown'
            WHEN year(birth_date) <= year(CAST(:as_of AS DATE)) - 90 THEN '90+'
            WHEN months_between(CAST(:as_of AS DATE), birth_date) < 18 * 12 THEN '0-17'
            WHEN months_between(CAST(:as_of AS DATE), birth_date) < 35 * 12 THEN '18-34'
            WHEN months_between(CAST(:as_of AS DATE), birth_date) < 50 * 12 THEN '35-49'
            WHEN months_between(CAST(:as_of AS DATE), birth_date) < 65 * 12 THEN '50-64'
            WHEN months_between(CAST(:as_of AS DATE), birth_date) < 80 * 12 THEN '65-79'
            ELSE '80-89' END,
       coalesce(state, 'unknown'),
       CASE WHEN zip3 IS NULL OR zip3 IN ('036', '059', '063', '102', '203', '556', '692', '790', '821', '823', '830', '831', '878',
                                          '879', '884', '890', '893') THEN '000' ELSE zip3 END,
       version,
       CASE WHEN version = 1 THEN TIMESTAMP'1600-01-01 00:00:00' ELSE effective_from END,
       effective_to, is_current
FROM silver.patient
