INSERT INTO "crm"."contact" ("id", "stamp", "deleted", "name", "a_boolean", "a_integer", "a_double", "a_date", "a_time", "a_timestamp", "a_json", "a_decimal", "owner.it's", _deleted, _version, _confirmed_at, _hash, _window, _loaded_at, "old")
SELECT s."id", s."stamp", s."deleted", s."name", s."a_boolean", s."a_integer", s."a_double", s."a_date", s."a_time", s."a_timestamp", s."a_json", s."a_decimal", s."owner.it's", s._deleted, s._version, s._confirmed_at, s._hash, s._window, TIMESTAMPTZ '2026-06-01T00:00:00.000Z', k."old"
FROM read_parquet('/stage/rows', file_row_number = true) AS s SEMI JOIN (SELECT n FROM load_plan WHERE action IN ('insert', 'update')) AS p ON s.file_row_number = p.n
LEFT JOIN load_kept AS k ON s.file_row_number = k.n
