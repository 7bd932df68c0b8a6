UPDATE "hw_crm"."contact" SET _deleted = true, _version = _headwater_plan._version, _confirmed_at = _headwater_plan._confirmed_at, _window = 'w_1', _loaded_at = CAST('2026-06-01 00:00:00.000+00' AS timestamptz)
FROM _headwater_plan WHERE _headwater_plan.action = 'update' AND "contact"."id" = _headwater_plan.k
