MERGE INTO `hw_crm`.`contact` AS t USING (
  SELECT p.action AS hw_action, s.k AS k, s._deleted, s._confirmed_at AS hw_confirmed, s.c3 AS v_c3, COALESCE(SAFE.PARSE_JSON(s.c10), SAFE.PARSE_JSON(s.c10, wide_number_mode => 'round')) AS v_c10
  FROM `hw__headwater_staging`.`s_3` AS s JOIN hw_some_1 AS p ON p.k = s.k WHERE p.action <> 'absent'
) AS s ON t.`id` = s.k
WHEN MATCHED AND s.hw_action = 'update' THEN UPDATE SET `name` = s.v_c3, `a_json` = s.v_c10, _deleted = s._deleted, _hash = NULL, _window = 'w_1', _loaded_at = TIMESTAMP '2026-06-01T00:00:00.000Z', _confirmed_at = s.hw_confirmed
WHEN MATCHED AND s.hw_confirmed > t._confirmed_at THEN UPDATE SET _confirmed_at = s.hw_confirmed
