CREATE TEMP TABLE _headwater_plan DISTSTYLE KEY DISTKEY ("k") AS
SELECT s."id" AS k, s._version, s._confirmed_at, CASE
  WHEN t."id" IS NULL THEN 'insert'
  WHEN t._deleted THEN 'unchanged'
  WHEN (COALESCE(s._version, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) > COALESCE(t._version, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) OR (COALESCE(s._version, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) = COALESCE(t._version, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) AND COALESCE(s._confirmed_at, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)) >= COALESCE(t._confirmed_at, CAST('0001-01-01 00:00:00.000+00' AS timestamptz)))) THEN 'update'
  ELSE 'stale' END AS action
FROM _headwater_gone AS s LEFT JOIN "hw_crm"."contact" AS t ON t."id" = s."id"
