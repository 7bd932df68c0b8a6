CREATE SCHEMA IF NOT EXISTS _headwater;

CREATE TABLE IF NOT EXISTS _headwater.sink (epoch VARCHAR NOT NULL, seq BIGINT NOT NULL);

CREATE TABLE IF NOT EXISTS _headwater.intervals (
  seq BIGINT NOT NULL, "window" VARCHAR NOT NULL, connection VARCHAR NOT NULL, object VARCHAR NOT NULL,
  "from" VARCHAR NOT NULL, until VARCHAR NOT NULL, attempt INTEGER NOT NULL, batches VARCHAR[] NOT NULL,
  receipt JSON NOT NULL, committed_at TIMESTAMPTZ NOT NULL);

CREATE TABLE IF NOT EXISTS _headwater.batches (
  batch VARCHAR NOT NULL, "window" VARCHAR NOT NULL, slice INTEGER NOT NULL, attempt INTEGER NOT NULL,
  connection VARCHAR NOT NULL, object VARCHAR NOT NULL, "table" VARCHAR NOT NULL, inserted BIGINT NOT NULL,
  updated BIGINT NOT NULL, unchanged BIGINT NOT NULL, stale BIGINT NOT NULL, counts JSON NOT NULL,
  replaced_by VARCHAR, loaded_at TIMESTAMPTZ NOT NULL);

CREATE TABLE IF NOT EXISTS _headwater.runs (
  connection VARCHAR NOT NULL, workflow_id VARCHAR NOT NULL, run_id VARCHAR NOT NULL, "trigger" VARCHAR NOT NULL,
  outcome VARCHAR NOT NULL, started_at VARCHAR NOT NULL, ended_at VARCHAR, idle INTEGER NOT NULL, objects JSON NOT NULL);

CREATE TABLE IF NOT EXISTS _headwater.quarantine (
  batch VARCHAR NOT NULL, "window" VARCHAR NOT NULL, connection VARCHAR NOT NULL, object VARCHAR NOT NULL,
  record VARCHAR, field VARCHAR, value VARCHAR, reason VARCHAR NOT NULL, raw VARCHAR, quarantined_at TIMESTAMPTZ NOT NULL);

ALTER TABLE _headwater.quarantine ADD COLUMN IF NOT EXISTS resolved_at TIMESTAMPTZ;

CREATE TABLE IF NOT EXISTS _headwater.schema_changes (
  changed_at TIMESTAMPTZ NOT NULL, connection VARCHAR NOT NULL, "table" VARCHAR NOT NULL, "column" VARCHAR, change VARCHAR NOT NULL,
  before VARCHAR, after VARCHAR, action VARCHAR NOT NULL, policy VARCHAR NOT NULL)
