CREATE TEMP TABLE _headwater_newest AS
SELECT r."_profile", r."tree", r."_version", r."_epoch", r."_at" FROM (
  SELECT "_profile", "tree", "_version", "_epoch", "_at", ROW_NUMBER() OVER (PARTITION BY "_profile", "_version" ORDER BY "_profile", "_version") AS _nth FROM _headwater_rows
) AS r LEFT JOIN "golden"."contact" AS t ON t."_profile" = r."_profile" AND t."_version" = r."_version"
WHERE r._nth = 1 AND (t."_profile" IS NULL);
INSERT INTO "golden"."contact" ("_profile", "tree", "_version", "_epoch", "_at")
SELECT n."_profile", CASE WHEN CAN_JSON_PARSE(n."tree") THEN JSON_PARSE(n."tree") END, n."_version", n."_epoch", n."_at" FROM _headwater_newest AS n
