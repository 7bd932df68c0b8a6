INSERT INTO "hw_crm"."contact" ("id", _deleted, _version, _confirmed_at, _window, _loaded_at)
SELECT k, true, _version, _confirmed_at, 'w_1', timestamptz '2026-06-01T00:00:00.000Z' FROM load_plan WHERE action = 'insert'
