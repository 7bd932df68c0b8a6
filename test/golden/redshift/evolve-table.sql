ALTER TABLE "hw_crm"."contact" ADD COLUMN "_wide" numeric(21,2);
UPDATE "hw_crm"."contact" SET "_wide" = CAST("a_integer" AS numeric(21,2));
ALTER TABLE "hw_crm"."contact" DROP COLUMN "a_integer";
ALTER TABLE "hw_crm"."contact" RENAME COLUMN "_wide" TO "a_integer";
ALTER TABLE "hw_crm"."contact" ADD COLUMN "a_date__v2" boolean;
ALTER TABLE "hw_crm"."contact" ADD COLUMN "_wide" character varying(65535);
UPDATE "hw_crm"."contact" SET "_wide" = CASE WHEN "a_boolean" THEN 'true' WHEN NOT "a_boolean" THEN 'false' END;
ALTER TABLE "hw_crm"."contact" DROP COLUMN "a_boolean";
ALTER TABLE "hw_crm"."contact" RENAME COLUMN "_wide" TO "a_boolean";
ALTER TABLE "hw_crm"."contact" ADD COLUMN "_wide" character varying(65535);
UPDATE "hw_crm"."contact" SET "_wide" = CASE WHEN "a_json" IS NOT NULL THEN JSON_SERIALIZE("a_json") END;
ALTER TABLE "hw_crm"."contact" DROP COLUMN "a_json";
ALTER TABLE "hw_crm"."contact" RENAME COLUMN "_wide" TO "a_json";
ALTER TABLE "hw_crm"."contact" ADD COLUMN "new" character varying(65535)
