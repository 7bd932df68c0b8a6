CREATE TEMP TABLE load_plan ON COMMIT DROP AS
SELECT s."id" AS k, s._version, s._confirmed_at, CASE
  WHEN t."id" IS NULL THEN 'insert'
  WHEN t._deleted THEN 'unchanged'
  WHEN (s._version, s._confirmed_at) >= (coalesce(t._version, timestamptz '0001-01-01 00:00:00+00'), coalesce(t._confirmed_at, timestamptz '0001-01-01 00:00:00+00')) THEN 'update'
  ELSE 'stale' END AS action
FROM load_gone AS s LEFT JOIN "hw_crm"."contact" AS t ON t."id" = s."id"
