MERGE INTO `hw_crm`.`contact` AS t USING (
  SELECT p.action AS hw_action, s.k AS k, s._version, s._confirmed_at
  FROM `hw__headwater_staging`.`s_2` AS s JOIN hw_gone_1 AS p ON p.k = s.k
  WHERE p.action IN ('insert', 'update') OR (p.action = 'unchanged' AND p.moves)
) AS s ON t.`id` = s.k
WHEN MATCHED AND s.hw_action = 'unchanged' THEN UPDATE SET _version = s._version, _confirmed_at = s._confirmed_at
WHEN MATCHED AND s.hw_action = 'update' THEN UPDATE SET _deleted = TRUE, _version = s._version, _confirmed_at = s._confirmed_at, _window = 'w_1', _loaded_at = TIMESTAMP '2026-06-01T00:00:00.000Z'
WHEN NOT MATCHED THEN INSERT (`id`, _deleted, _version, _confirmed_at, _window, _loaded_at) VALUES (s.k, TRUE, s._version, s._confirmed_at, 'w_1', TIMESTAMP '2026-06-01T00:00:00.000Z')
