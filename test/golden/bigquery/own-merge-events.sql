MERGE INTO `hw_golden`.`events` AS t USING (
  SELECT * FROM (SELECT s.c0 AS `_profile`, s.c1 AS `name`, s.c2 AS `_version`, s.c3 AS `_epoch` FROM `s`.`s_5` AS s) AS r WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY r.`_profile` ORDER BY 1) = 1
) AS s ON t.`_profile` = s.`_profile`
WHEN NOT MATCHED THEN INSERT (`_profile`, `name`, `_version`, `_epoch`) VALUES (s.`_profile`, s.`name`, s.`_version`, s.`_epoch`)
