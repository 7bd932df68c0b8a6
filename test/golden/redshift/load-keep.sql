CREATE TEMP TABLE _headwater_kept DISTSTYLE KEY DISTKEY ("k") AS
SELECT p.k, t."gone" AS o0
FROM _headwater_plan AS p JOIN "hw_crm"."contact" AS t ON t."id" = p.k WHERE p.action = 'update'
