UPDATE "hw_crm"."contact" AS t SET _deleted = true, _version = p._version, _confirmed_at = p._confirmed_at, _window = 'w_1', _loaded_at = timestamptz '2026-06-01T00:00:00.000Z'
FROM load_plan AS p WHERE p.action = 'update' AND t."id" = p.k
