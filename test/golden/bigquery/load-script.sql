BEGIN TRANSACTION;
UPDATE `hw__headwater`.`lock_9c8d2f0004ad60c1fa85` SET `taken` = `taken` + 1 WHERE TRUE;
IF EXISTS (SELECT 1 FROM `hw__headwater`.`batches` WHERE `window` = 'w_1' AND (`batch` = 'b_1' OR `attempt` > 1)) THEN RAISE USING MESSAGE = 'headwater: overtaken'; END IF;
-- what the files bring;
-- what the files bring;
IF EXISTS (SELECT 1 FROM `hw__headwater`.`batches` WHERE `window` = 'w_1' AND `slice` = 0 AND `batch` <> 'b_1' AND `replaced_by` IS NULL) THEN UPDATE `hw__headwater`.`batches` SET `replaced_by` = 'b_1' WHERE `window` = 'w_1' AND `slice` = 0 AND `batch` <> 'b_1' AND `replaced_by` IS NULL; END IF;
INSERT INTO `hw__headwater`.`batches` (`batch`, `window`, `slice`, `attempt`, `connection`, `object`, `table`, `inserted`, `updated`, `unchanged`, `stale`, `counts`, `replaced_by`, `loaded_at`)
SELECT 'b_1', 'w_1', 0, 1, 'crm', 'Contact', 'contact', (SELECT COUNTIF(action IN ('insert')) FROM hw_rows_1) + (SELECT COUNTIF(action IN ('insert')) FROM hw_rows_1), (SELECT COUNTIF(action IN ('update')) FROM hw_rows_1) + (SELECT COUNTIF(action IN ('update')) FROM hw_rows_1), (SELECT COUNTIF(action IN ('unchanged')) FROM hw_rows_1) + (SELECT COUNTIF(action IN ('unchanged')) FROM hw_rows_1), (SELECT COUNTIF(action IN ('stale')) FROM hw_rows_1) + (SELECT COUNTIF(action IN ('stale')) FROM hw_rows_1), '{"sent":0,"received":0,"shaped":0,"quarantined":0,"superseded":0,"suppressed":0,"filtered":0,"reRead":0,"deleted":0,"tombstones":0}', CAST(NULL AS STRING), TIMESTAMP '2026-06-01T00:00:00.000Z';
DROP TABLE hw_rows_1;
DROP TABLE hw_rows_1;
COMMIT TRANSACTION;
SELECT `batch`, `attempt`, `inserted`, `updated`, `unchanged`, `stale`, `replaced_by` FROM `hw__headwater`.`batches` WHERE `window` = 'w_1'
