CREATE TABLE IF NOT EXISTS _headwater.writer (n integer) DISTSTYLE ALL;

CREATE TABLE IF NOT EXISTS _headwater.sink (epoch varchar(64) NOT NULL, seq bigint NOT NULL) DISTSTYLE ALL;

CREATE TABLE IF NOT EXISTS _headwater.intervals (
  seq bigint NOT NULL, "window" character varying(65535) NOT NULL, connection character varying(65535) NOT NULL, object character varying(65535) NOT NULL,
  "from" varchar(32) NOT NULL, until varchar(32) NOT NULL, attempt integer NOT NULL, batches character varying(65535) NOT NULL,
  receipt character varying(65535) NOT NULL, committed_at timestamptz NOT NULL);

CREATE TABLE IF NOT EXISTS _headwater.batches (
  batch character varying(65535) NOT NULL, "window" character varying(65535) NOT NULL, slice integer NOT NULL, attempt integer NOT NULL,
  connection character varying(65535) NOT NULL, object character varying(65535) NOT NULL, "table" character varying(65535) NOT NULL, inserted bigint NOT NULL,
  updated bigint NOT NULL, unchanged bigint NOT NULL, stale bigint NOT NULL, counts character varying(65535) NOT NULL,
  loaded_at timestamptz NOT NULL, replaced_by character varying(65535));

CREATE TABLE IF NOT EXISTS _headwater.runs (
  connection character varying(65535) NOT NULL, workflow_id character varying(65535) NOT NULL, run_id character varying(65535) NOT NULL, "trigger" character varying(65535) NOT NULL,
  outcome character varying(65535) NOT NULL, started_at varchar(32) NOT NULL, ended_at varchar(32), idle integer NOT NULL, objects character varying(65535) NOT NULL);

CREATE TABLE IF NOT EXISTS _headwater.quarantine (
  batch character varying(65535) NOT NULL, "window" character varying(65535) NOT NULL, connection character varying(65535) NOT NULL, object character varying(65535) NOT NULL,
  record character varying(65535), field character varying(65535), value character varying(65535), reason character varying(65535) NOT NULL, "raw" character varying(65535), quarantined_at timestamptz NOT NULL,
  id varchar(64) NOT NULL, resolved_at timestamptz);

CREATE TABLE IF NOT EXISTS _headwater.schema_changes (
  changed_at timestamptz NOT NULL, connection character varying(65535) NOT NULL, "table" character varying(65535) NOT NULL, "column" character varying(65535),
  change varchar(64) NOT NULL, before character varying(65535), after character varying(65535), action varchar(64) NOT NULL, policy varchar(64) NOT NULL,
  id varchar(64) NOT NULL);

CREATE TABLE IF NOT EXISTS _headwater.to_rewrite ("table" character varying(65535) NOT NULL) DISTSTYLE ALL
