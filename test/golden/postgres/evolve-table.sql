ALTER TABLE "hw_crm"."contact" ALTER COLUMN "a_integer" SET DATA TYPE numeric(21,2) USING "a_integer"::numeric(21,2);
ALTER TABLE "hw_crm"."contact" ADD COLUMN "a_date__v2" boolean;
ALTER TABLE "hw_crm"."contact" ADD COLUMN "new" text
