UPDATE "hw_crm"."contact" AS t SET _confirmed_at = p._confirmed_at FROM partial_plan AS p
WHERE t."id" = p.k AND p._confirmed_at > t._confirmed_at
