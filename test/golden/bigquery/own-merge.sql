MERGE INTO `hw_golden`.`contact` AS t USING (
  SELECT * FROM (SELECT s.c0 AS `_profile`, s.c1 AS `name`, s.c2 AS `_version`, s.c3 AS `_epoch` FROM `hw__headwater_staging`.`s_4` AS s) AS r WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY r.`_profile` ORDER BY r.`_version` DESC) = 1
) AS s ON t.`_profile` = s.`_profile`
WHEN MATCHED AND (s.`_version` >= t.`_version` OR s.`_epoch` <> t.`_epoch`) THEN UPDATE SET `name` = s.`name`, `_version` = s.`_version`, `_epoch` = s.`_epoch`
WHEN NOT MATCHED THEN INSERT (`_profile`, `name`, `_version`, `_epoch`) VALUES (s.`_profile`, s.`name`, s.`_version`, s.`_epoch`)
