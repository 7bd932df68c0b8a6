ALTER TABLE `hw_crm`.`contact` ALTER COLUMN `a_integer` SET DATA TYPE NUMERIC(30,2);
ALTER TABLE `hw_crm`.`contact` ADD COLUMN IF NOT EXISTS `a_date__v2` BOOL;
ALTER TABLE `hw_crm`.`contact` ADD COLUMN IF NOT EXISTS `a_boolean__v2` STRING;
ALTER TABLE `hw_crm`.`contact` ADD COLUMN IF NOT EXISTS `new` STRING
