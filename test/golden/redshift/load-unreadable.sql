INSERT INTO _headwater.quarantine (batch, "window", connection, object, record, field, value, reason, quarantined_at, id)
SELECT 'b_''1', 'w_1', 'crm', 'Contact', CAST(s."id" AS varchar(65535)), 'A_json', s."a_json", 'Redshift does not take this value', CAST('2026-06-01 00:00:00.000+00' AS timestamptz), MD5('b_''1 A_json ' || CAST(s."id" AS varchar(65535)))
FROM _headwater_rows AS s WHERE s."a_json" IS NOT NULL AND NOT CAN_JSON_PARSE(s."a_json")
