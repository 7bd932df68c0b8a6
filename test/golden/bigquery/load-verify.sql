SELECT COUNTIF(t._version >= s._version) AS present,
  COUNTIF(t._version IS NULL OR t._version < s._version) AS missing
FROM `hw__headwater_staging`.`s_1` AS s LEFT JOIN `hw_crm`.`contact` AS t ON t.`id` = s.c0
