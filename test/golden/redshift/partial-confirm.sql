UPDATE "hw_crm"."contact" SET _confirmed_at = _headwater_plan._confirmed_at FROM _headwater_plan
WHERE "contact"."id" = _headwater_plan.k AND _headwater_plan._confirmed_at > "contact"._confirmed_at
