INSERT INTO "golden"."contact" AS t ("_profile", "name", "_version", "_epoch")
SELECT DISTINCT ON ("_profile") "_profile", "name", "_version", "_epoch" FROM own_rows ORDER BY "_profile", "_version" DESC
ON CONFLICT ("_profile") DO UPDATE SET "name" = excluded."name", "_version" = excluded."_version", "_epoch" = excluded."_epoch" WHERE excluded."_version" >= t."_version" OR excluded._epoch <> t._epoch
