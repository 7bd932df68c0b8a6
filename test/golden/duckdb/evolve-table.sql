ALTER TABLE "crm"."contact" ALTER COLUMN "a_integer" SET DATA TYPE DECIMAL(21,2);
ALTER TABLE "crm"."contact" ADD COLUMN "a_date__v2" BOOLEAN;
ALTER TABLE "crm"."contact" ADD COLUMN "new" VARCHAR
