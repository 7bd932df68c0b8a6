CREATE OR REPLACE TEMP TABLE load_plan AS
SELECT s.n, t.row_id, s.k, s._version, s._confirmed_at, CASE
  WHEN t.row_id IS NULL THEN 'insert'
  WHEN t._deleted THEN 'unchanged'
  WHEN (s._version, s._confirmed_at) >= (coalesce(t._version, TIMESTAMPTZ '0001-01-01 00:00:00+00'), coalesce(t._confirmed_at, TIMESTAMPTZ '0001-01-01 00:00:00+00')) THEN 'update'
  ELSE 'stale' END AS action
FROM (SELECT CAST("id" AS VARCHAR) AS k, _deleted, _version, _confirmed_at, NULL::UBIGINT AS _hash, file_row_number AS n FROM read_parquet('/stage/gone', file_row_number = true)) AS s
LEFT JOIN (SELECT rowid AS row_id, "id" AS k, _deleted, _version, _confirmed_at, _hash FROM "crm"."contact") AS t ON s.k = t.k
