CREATE TEMP TABLE _headwater_plan DISTSTYLE KEY DISTKEY ("k") AS
SELECT s."id" AS k, s._version, s._confirmed_at, CASE
  WHEN t."id" IS NULL THEN 'insert'
  WHEN t._hash = s._hash AND t._deleted = s._deleted THEN 'unchanged'
  WHEN (COALESCE(s._version, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) > COALESCE(t._version, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) OR (COALESCE(s._version, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) = COALESCE(t._version, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) AND (COALESCE(s._confirmed_at, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) > COALESCE(t._confirmed_at, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) OR (COALESCE(s._confirmed_at, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) = COALESCE(t._confirmed_at, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) AND (CASE WHEN s._deleted THEN 1 ELSE 0 END > CASE WHEN t._deleted THEN 1 ELSE 0 END OR (CASE WHEN s._deleted THEN 1 ELSE 0 END = CASE WHEN t._deleted THEN 1 ELSE 0 END AND COALESCE(s._hash, -9223372036854775808) > COALESCE(t._hash, -9223372036854775808))))))) THEN 'update'
  ELSE 'stale' END AS action
FROM _headwater_rows AS s LEFT JOIN "hw_crm"."contact" AS t ON t."id" = s."id"
