DO $do$ BEGIN IF to_regnamespace('"hw_crm"') IS NULL THEN CREATE SCHEMA "hw_crm"; END IF; END $do$;

CREATE TABLE "hw_crm"."contact" (
  "id" text,
  "stamp" timestamp with time zone,
  "deleted" boolean,
  "name" text,
  _deleted boolean,
  _version timestamp with time zone,
  _confirmed_at timestamp with time zone,
  _hash bigint,
  _window text,
  _loaded_at timestamp with time zone
) PARTITION BY HASH ("id");

CREATE TABLE "hw_crm"."contact__p0" PARTITION OF "hw_crm"."contact" FOR VALUES WITH (MODULUS 3, REMAINDER 0);

CREATE TABLE "hw_crm"."contact__p1" PARTITION OF "hw_crm"."contact" FOR VALUES WITH (MODULUS 3, REMAINDER 1);

CREATE TABLE "hw_crm"."contact__p2" PARTITION OF "hw_crm"."contact" FOR VALUES WITH (MODULUS 3, REMAINDER 2);

CREATE UNIQUE INDEX ON "hw_crm"."contact" ("id");

CREATE INDEX ON "hw_crm"."contact" (_version)
