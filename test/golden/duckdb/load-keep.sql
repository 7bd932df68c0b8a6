CREATE OR REPLACE TEMP TABLE load_kept AS SELECT p.n, t."old"
FROM "crm"."contact" AS t JOIN load_plan AS p ON t.rowid = p.row_id WHERE p.action = 'update'
