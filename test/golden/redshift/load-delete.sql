DELETE FROM "hw_crm"."contact" USING _headwater_plan WHERE _headwater_plan.action = 'update' AND "contact"."id" = _headwater_plan.k
