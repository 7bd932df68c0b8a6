CREATE TEMP TABLE load_plan ON COMMIT DROP AS
SELECT s."id" AS k, s._version, s._confirmed_at, CASE
  WHEN t."id" IS NULL THEN 'insert'
  WHEN t._hash = s._hash AND t._deleted = s._deleted THEN 'unchanged'
  WHEN (coalesce(s._version, timestamptz '0001-01-01 00:00:00+00'), coalesce(s._confirmed_at, timestamptz '0001-01-01 00:00:00+00'), coalesce(s._deleted, false), coalesce(s._hash, -9223372036854775808)) > (coalesce(t._version, timestamptz '0001-01-01 00:00:00+00'), coalesce(t._confirmed_at, timestamptz '0001-01-01 00:00:00+00'), coalesce(t._deleted, false), coalesce(t._hash, -9223372036854775808)) THEN 'update'
  ELSE 'stale' END AS action
FROM load_rows AS s LEFT JOIN "hw_crm"."contact" AS t ON t."id" = s."id"
