CREATE TEMP TABLE _headwater_old AS SELECT "window", batch FROM _headwater.batches WHERE loaded_at < CAST('2026-06-01 00:00:00.000+00' AS timestamptz) AND ("window" IN (SELECT "window" FROM _headwater.intervals) OR LEFT("window", 5) = 'byid_') ORDER BY "window", batch LIMIT 100;
DELETE FROM _headwater.batches USING _headwater_old WHERE batches."window" = _headwater_old."window" AND batches.batch = _headwater_old.batch;
CREATE TEMP TABLE _headwater_old AS SELECT id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY connection, object, record, field ORDER BY quarantined_at DESC, id DESC) AS nth FROM _headwater.quarantine) AS numbered WHERE quarantined_at < CAST('2026-06-01 00:00:00.000+00' AS timestamptz) AND ("window" IN (SELECT "window" FROM _headwater.intervals) OR LEFT("window", 5) = 'byid_') AND (record IS NULL OR nth > 1) ORDER BY id LIMIT 100;
DELETE FROM _headwater.quarantine USING _headwater_old WHERE quarantine.id = _headwater_old.id;
CREATE TEMP TABLE _headwater_old AS SELECT workflow_id, run_id FROM _headwater.runs WHERE started_at < '2026-06-01T00:00:00.000Z' ORDER BY workflow_id, run_id LIMIT 100;
DELETE FROM _headwater.runs USING _headwater_old WHERE runs.workflow_id = _headwater_old.workflow_id AND runs.run_id = _headwater_old.run_id;
CREATE TEMP TABLE _headwater_old AS SELECT id FROM _headwater.schema_changes WHERE changed_at < CAST('2026-06-01 00:00:00.000+00' AS timestamptz) AND action = 'applied' ORDER BY id LIMIT 100;
DELETE FROM _headwater.schema_changes USING _headwater_old WHERE schema_changes.id = _headwater_old.id
