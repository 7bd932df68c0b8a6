UPDATE "crm"."contact" AS t SET _version = p._version, _confirmed_at = p._confirmed_at
FROM load_plan AS p WHERE p.action = 'unchanged' AND t.rowid = p.row_id
  AND (coalesce(p._version, TIMESTAMPTZ '0001-01-01 00:00:00+00'), coalesce(p._confirmed_at, TIMESTAMPTZ '0001-01-01 00:00:00+00')) > (coalesce(t._version, TIMESTAMPTZ '0001-01-01 00:00:00+00'), coalesce(t._confirmed_at, TIMESTAMPTZ '0001-01-01 00:00:00+00'))
