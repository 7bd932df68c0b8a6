INSERT INTO "hw_crm"."contact" ("id", _deleted, _version, _confirmed_at, _window, _loaded_at)
SELECT k, true, _version, _confirmed_at, 'w_1', CAST('2026-06-01 00:00:00.000+00' AS timestamptz) FROM _headwater_plan WHERE action = 'insert'
