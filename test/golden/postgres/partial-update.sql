UPDATE "hw_crm"."contact" AS t SET "name" = s."name", "a_json" = s."a_json", _deleted = s._deleted, _hash = NULL, _window = 'w_1', _loaded_at = timestamptz '2026-06-01T00:00:00.000Z'
FROM load_rows AS s JOIN partial_plan AS p ON p.k = s."id" WHERE p.action = 'update' AND t."id" = s."id"
