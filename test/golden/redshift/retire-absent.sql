NOT COALESCE(_deleted, false) AND _version < CAST('2026-06-01 00:00:00.000+00' AS timestamptz) AND _confirmed_at < CAST('2026-06-01 00:00:00.000+00' AS timestamptz)
  AND CAST("id" AS varchar(65535)) NOT IN (SELECT record FROM _headwater.quarantine WHERE "window" = 'w_1' AND record IS NOT NULL)
  AND CAST("id" AS varchar(65535)) NOT IN (SELECT id FROM _headwater_except)
