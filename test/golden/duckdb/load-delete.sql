DELETE FROM "crm"."contact" WHERE rowid IN (SELECT row_id FROM load_plan WHERE action = 'update')
