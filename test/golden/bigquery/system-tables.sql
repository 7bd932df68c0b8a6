CREATE TABLE IF NOT EXISTS `hw__headwater`.`intervals` (`seq` INT64 NOT NULL, `window` STRING NOT NULL, `connection` STRING NOT NULL, `object` STRING NOT NULL, `from` STRING NOT NULL, `until` STRING NOT NULL, `attempt` INT64 NOT NULL, `batches` ARRAY<STRING>, `receipt` STRING NOT NULL, `committed_at` TIMESTAMP NOT NULL) CLUSTER BY `window`;

CREATE TABLE IF NOT EXISTS `hw__headwater`.`batches` (`batch` STRING NOT NULL, `window` STRING NOT NULL, `slice` INT64 NOT NULL, `attempt` INT64 NOT NULL, `connection` STRING NOT NULL, `object` STRING NOT NULL, `table` STRING NOT NULL, `inserted` INT64 NOT NULL, `updated` INT64 NOT NULL, `unchanged` INT64 NOT NULL, `stale` INT64 NOT NULL, `counts` STRING NOT NULL, `replaced_by` STRING, `loaded_at` TIMESTAMP NOT NULL) CLUSTER BY `window`;

CREATE TABLE IF NOT EXISTS `hw__headwater`.`runs` (`connection` STRING NOT NULL, `workflow_id` STRING NOT NULL, `run_id` STRING NOT NULL, `trigger` STRING NOT NULL, `outcome` STRING NOT NULL, `started_at` STRING NOT NULL, `ended_at` STRING, `idle` INT64 NOT NULL, `objects` STRING NOT NULL);

CREATE TABLE IF NOT EXISTS `hw__headwater`.`quarantine` (`batch` STRING NOT NULL, `window` STRING NOT NULL, `connection` STRING NOT NULL, `object` STRING NOT NULL, `record` STRING, `field` STRING, `value` STRING, `reason` STRING NOT NULL, `raw` STRING, `quarantined_at` TIMESTAMP NOT NULL, `id` STRING NOT NULL, `resolved_at` TIMESTAMP) CLUSTER BY `connection`, `object`, `record`;

CREATE TABLE IF NOT EXISTS `hw__headwater`.`schema_changes` (`changed_at` TIMESTAMP NOT NULL, `connection` STRING NOT NULL, `table` STRING NOT NULL, `column` STRING, `change` STRING NOT NULL, `before` STRING, `after` STRING, `action` STRING NOT NULL, `policy` STRING NOT NULL, `id` STRING NOT NULL);

CREATE TABLE IF NOT EXISTS `hw__headwater`.`sink` (`epoch` STRING NOT NULL, `seq` INT64 NOT NULL);

INSERT INTO `hw__headwater`.`sink` (`epoch`, `seq`) SELECT GENERATE_UUID(), 0 FROM (SELECT 1 AS one) WHERE NOT EXISTS (SELECT 1 FROM `hw__headwater`.`sink`)
