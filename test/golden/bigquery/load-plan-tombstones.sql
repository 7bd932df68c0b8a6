CREATE OR REPLACE TEMP TABLE hw_gone_1 AS
SELECT s.k AS k, CASE
  WHEN t.`id` IS NULL THEN 'insert'
  WHEN t._deleted THEN 'unchanged'
  WHEN (COALESCE(s._version, TIMESTAMP '0001-01-01 00:00:00+00') > COALESCE(t._version, TIMESTAMP '0001-01-01 00:00:00+00') OR (COALESCE(s._version, TIMESTAMP '0001-01-01 00:00:00+00') = COALESCE(t._version, TIMESTAMP '0001-01-01 00:00:00+00') AND (COALESCE(s._confirmed_at, TIMESTAMP '0001-01-01 00:00:00+00') > COALESCE(t._confirmed_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (COALESCE(s._confirmed_at, TIMESTAMP '0001-01-01 00:00:00+00') = COALESCE(t._confirmed_at, TIMESTAMP '0001-01-01 00:00:00+00') AND TRUE)))) THEN 'update'
  ELSE 'stale' END AS action, (COALESCE(s._version, TIMESTAMP '0001-01-01 00:00:00+00') > COALESCE(t._version, TIMESTAMP '0001-01-01 00:00:00+00') OR (COALESCE(s._version, TIMESTAMP '0001-01-01 00:00:00+00') = COALESCE(t._version, TIMESTAMP '0001-01-01 00:00:00+00') AND (COALESCE(s._confirmed_at, TIMESTAMP '0001-01-01 00:00:00+00') > COALESCE(t._confirmed_at, TIMESTAMP '0001-01-01 00:00:00+00')))) AS moves
FROM `hw__headwater_staging`.`s_2` AS s LEFT JOIN `hw_crm`.`contact` AS t ON t.`id` = s.k
