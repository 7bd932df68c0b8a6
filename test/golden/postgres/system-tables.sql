DO $do$ BEGIN IF to_regnamespace('"_headwater"') IS NULL THEN CREATE SCHEMA "_headwater"; END IF; END $do$;

CREATE TABLE IF NOT EXISTS _headwater.sink (epoch text NOT NULL, seq bigint NOT NULL);

CREATE TABLE IF NOT EXISTS _headwater.intervals (
  seq bigint NOT NULL UNIQUE, "window" text PRIMARY KEY, connection text NOT NULL, object text NOT NULL,
  "from" text NOT NULL, until text NOT NULL, attempt integer NOT NULL, batches text[] NOT NULL,
  receipt json NOT NULL, committed_at timestamptz NOT NULL);

CREATE TABLE IF NOT EXISTS _headwater.batches (
  batch text NOT NULL, "window" text NOT NULL, slice integer NOT NULL, attempt integer NOT NULL,
  connection text NOT NULL, object text NOT NULL, "table" text NOT NULL, inserted bigint NOT NULL,
  updated bigint NOT NULL, unchanged bigint NOT NULL, stale bigint NOT NULL, counts json NOT NULL,
  replaced_by text, loaded_at timestamptz NOT NULL, PRIMARY KEY ("window", batch));

CREATE TABLE IF NOT EXISTS _headwater.runs (
  connection text NOT NULL, workflow_id text NOT NULL, run_id text NOT NULL, "trigger" text NOT NULL,
  outcome text NOT NULL, started_at text NOT NULL, ended_at text, idle integer NOT NULL, objects json NOT NULL,
  PRIMARY KEY (workflow_id, run_id));

CREATE TABLE IF NOT EXISTS _headwater.quarantine (
  batch text NOT NULL, "window" text NOT NULL, connection text NOT NULL, object text NOT NULL,
  record text, field text, value text, reason text NOT NULL, raw text, quarantined_at timestamptz NOT NULL,
  resolved_at timestamptz, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);

CREATE INDEX IF NOT EXISTS quarantine_by_record ON _headwater.quarantine (connection, object, record);

CREATE TABLE IF NOT EXISTS _headwater.schema_changes (
  changed_at timestamptz NOT NULL, connection text NOT NULL, "table" text NOT NULL, "column" text, change text NOT NULL,
  before text, after text, action text NOT NULL, policy text NOT NULL);

CREATE TABLE IF NOT EXISTS _headwater.to_rewrite ("table" text PRIMARY KEY)
