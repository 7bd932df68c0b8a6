CREATE TABLE IF NOT EXISTS `hw__headwater`.`lock_9c8d2f0004ad60c1fa85` AS SELECT 'crm.contact' AS `name`, 0 AS `taken`
