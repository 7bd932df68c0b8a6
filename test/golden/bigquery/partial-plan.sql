CREATE OR REPLACE TEMP TABLE hw_some_1 AS
SELECT s.k AS k, CASE
  WHEN t.`id` IS NULL THEN 'absent'
  WHEN t._version < s._version THEN 'behind'
  WHEN t._version > s._version OR t._confirmed_at > s._confirmed_at THEN 'stale'
  WHEN s._deleted IS DISTINCT FROM t._deleted OR s.c3 IS DISTINCT FROM t.`name` OR TO_JSON_STRING(COALESCE(SAFE.PARSE_JSON(s.c10), SAFE.PARSE_JSON(s.c10, wide_number_mode => 'round'))) IS DISTINCT FROM TO_JSON_STRING(t.`a_json`) THEN 'update'
  ELSE 'unchanged' END AS action
FROM `hw__headwater_staging`.`s_3` AS s LEFT JOIN `hw_crm`.`contact` AS t ON t.`id` = s.k
