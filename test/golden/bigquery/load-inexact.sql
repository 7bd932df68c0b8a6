INSERT INTO `hw__headwater`.`quarantine` (`batch`, `window`, `connection`, `object`, `record`, `field`, `value`, `reason`, `raw`, `quarantined_at`, `id`)
SELECT 'b_1', 'w_1', 'crm', 'Contact', CAST(s.c0 AS STRING), 'A_json', s.c10, 'BigQuery does not hold it exactly', CAST(NULL AS STRING), TIMESTAMP '2026-06-01T00:00:00.000Z', GENERATE_UUID()
FROM `hw__headwater_staging`.`s_1` AS s WHERE s.c10 IS NOT NULL AND SAFE.PARSE_JSON(s.c10) IS NULL
