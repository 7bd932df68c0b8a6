CREATE TEMP TABLE partial_plan ON COMMIT DROP AS
SELECT s."id" AS k, s._confirmed_at, CASE
  WHEN t."id" IS NULL THEN 'absent'
  WHEN t._version < s._version THEN 'behind'
  WHEN t._version > s._version OR t._confirmed_at > s._confirmed_at THEN 'stale'
  WHEN s._deleted IS DISTINCT FROM t._deleted OR s."name" IS DISTINCT FROM t."name" OR s."a_json"::text IS DISTINCT FROM t."a_json"::text THEN 'update'
  ELSE 'unchanged' END AS action
FROM load_rows AS s LEFT JOIN "hw_crm"."contact" AS t ON t."id" = s."id"
