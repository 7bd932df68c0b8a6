CREATE SCHEMA IF NOT EXISTS "crm";

CREATE TABLE "crm"."contact" (
  "id" VARCHAR,
  "stamp" TIMESTAMP WITH TIME ZONE,
  "deleted" BOOLEAN,
  "name" VARCHAR,
  "a_boolean" BOOLEAN,
  "a_integer" BIGINT,
  "a_double" DOUBLE,
  "a_date" DATE,
  "a_time" TIME,
  "a_timestamp" TIMESTAMP WITH TIME ZONE,
  "a_json" JSON,
  "a_decimal" DECIMAL(18,2),
  "owner.it's" VARCHAR,
  _deleted BOOLEAN,
  _version TIMESTAMPTZ,
  _confirmed_at TIMESTAMPTZ,
  _hash UBIGINT,
  _window VARCHAR,
  _loaded_at TIMESTAMPTZ
)
