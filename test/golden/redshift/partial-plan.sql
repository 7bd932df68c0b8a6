CREATE TEMP TABLE _headwater_plan DISTSTYLE KEY DISTKEY ("k") AS
SELECT s."id" AS k, s._version, s._confirmed_at, CASE
  WHEN t."id" IS NULL THEN 'absent'
  WHEN t._version < s._version THEN 'behind'
  WHEN t._version > s._version OR t._confirmed_at > s._confirmed_at THEN 'stale'
  WHEN COALESCE(s._deleted <> t._deleted, (s._deleted IS NULL) <> (t._deleted IS NULL)) OR COALESCE(s."name" <> t."name", (s."name" IS NULL) <> (t."name" IS NULL)) OR COALESCE(CASE WHEN CASE WHEN CAN_JSON_PARSE(s."a_json") THEN JSON_PARSE(s."a_json") END IS NOT NULL THEN JSON_SERIALIZE(CASE WHEN CAN_JSON_PARSE(s."a_json") THEN JSON_PARSE(s."a_json") END) END <> CASE WHEN t."a_json" IS NOT NULL THEN JSON_SERIALIZE(t."a_json") END, (CASE WHEN CASE WHEN CAN_JSON_PARSE(s."a_json") THEN JSON_PARSE(s."a_json") END IS NOT NULL THEN JSON_SERIALIZE(CASE WHEN CAN_JSON_PARSE(s."a_json") THEN JSON_PARSE(s."a_json") END) END IS NULL) <> (CASE WHEN t."a_json" IS NOT NULL THEN JSON_SERIALIZE(t."a_json") END IS NULL)) THEN 'update'
  WHEN true THEN 'unchanged'
  ELSE 'stale' END AS action
FROM _headwater_rows AS s LEFT JOIN "hw_crm"."contact" AS t ON t."id" = s."id"
