UPDATE "crm"."contact" AS t SET _version = greatest(t._version, p._version), _confirmed_at = greatest(t._confirmed_at, p._confirmed_at)
FROM load_plan AS p WHERE p.action = 'unchanged' AND t.rowid = p.row_id
  AND (p._confirmed_at > t._confirmed_at OR p._version > t._version)
