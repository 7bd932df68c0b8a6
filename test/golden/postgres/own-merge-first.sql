INSERT INTO "golden"."contact" AS t ("_profile", "name", "_version", "_epoch")
SELECT DISTINCT ON ("_profile") "_profile", "name", "_version", "_epoch" FROM own_rows ORDER BY "_profile"
ON CONFLICT ("_profile") DO NOTHING
