DO $do$ BEGIN IF to_regnamespace('"hw_crm"') IS NULL THEN CREATE SCHEMA "hw_crm"; END IF; END $do$;

CREATE TABLE "hw_crm"."contact" (
  "id" text,
  "stamp" timestamp with time zone,
  "deleted" boolean,
  "name" text,
  "a_boolean" boolean,
  "a_integer" bigint,
  "a_double" double precision,
  "a_date" date,
  "a_time" time without time zone,
  "a_timestamp" timestamp with time zone,
  "a_json" json,
  "a_decimal" numeric(18,2),
  "owner.it's" text,
  "xmin_" text,
  "longlonglonglonglonglonglonglonglonglonglonglonglonglo_5aa1dce7" text,
  _deleted boolean,
  _version timestamp with time zone,
  _confirmed_at timestamp with time zone,
  _hash bigint,
  _window text,
  _loaded_at timestamp with time zone
);

CREATE UNIQUE INDEX ON "hw_crm"."contact" ("id");

CREATE INDEX ON "hw_crm"."contact" (_version)
