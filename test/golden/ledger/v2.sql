CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE object_schemas (hash TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE schemas (
    connection TEXT NOT NULL, object TEXT NOT NULL, hash TEXT NOT NULL REFERENCES object_schemas (hash), at TEXT NOT NULL,
    PRIMARY KEY (connection, object)
  ) STRICT, WITHOUT ROWID;
CREATE TABLE windows (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    connection TEXT NOT NULL,
    object TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('first', 'head', 'past')),
    from_at TEXT NOT NULL,
    until_at TEXT NOT NULL CHECK (from_at < until_at),
    read_from TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'staged', 'abandoned')),
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    created_at TEXT NOT NULL,
    schema_hash TEXT REFERENCES object_schemas (hash),
    count_before INTEGER,
    read_at TEXT,
    receipt TEXT,
    reason TEXT
  , fields TEXT) STRICT;
CREATE TABLE slices (
    window_seq INTEGER NOT NULL REFERENCES windows (seq) ON DELETE CASCADE,
    slice INTEGER NOT NULL,
    plan TEXT NOT NULL,
    cursor TEXT,
    extracted INTEGER NOT NULL DEFAULT 0 CHECK (extracted IN (0, 1)),
    batch TEXT,
    PRIMARY KEY (window_seq, slice)
  ) STRICT, WITHOUT ROWID;
CREATE TABLE pages (
    window_seq INTEGER NOT NULL,
    slice INTEGER NOT NULL,
    page INTEGER NOT NULL,
    key TEXT NOT NULL,
    format TEXT NOT NULL,
    rows_sent INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    nul_bytes INTEGER NOT NULL,
    PRIMARY KEY (window_seq, slice, page),
    FOREIGN KEY (window_seq, slice) REFERENCES slices (window_seq, slice) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
CREATE TABLE loads (
    window_seq INTEGER NOT NULL REFERENCES windows (seq) ON DELETE CASCADE,
    sink TEXT NOT NULL,
    batch TEXT NOT NULL,
    receipt TEXT NOT NULL,
    PRIMARY KEY (window_seq, sink, batch)
  ) STRICT, WITHOUT ROWID;
CREATE TABLE coverage (
    sink TEXT NOT NULL,
    connection TEXT NOT NULL,
    object TEXT NOT NULL,
    from_at TEXT NOT NULL,
    until_at TEXT NOT NULL CHECK (from_at < until_at),
    PRIMARY KEY (sink, connection, object, from_at)
  ) STRICT, WITHOUT ROWID;
CREATE TABLE landed (
    window_seq INTEGER NOT NULL REFERENCES windows (seq) ON DELETE CASCADE,
    sink TEXT NOT NULL,
    PRIMARY KEY (window_seq, sink)
  ) STRICT, WITHOUT ROWID;
CREATE TABLE sinks (sink TEXT PRIMARY KEY, epoch TEXT NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE runs (
    workflow_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    connection TEXT NOT NULL,
    started_at TEXT NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (workflow_id, run_id)
  ) STRICT, WITHOUT ROWID;
CREATE TABLE buckets (connection TEXT PRIMARY KEY, tokens REAL NOT NULL, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE quotas (
    connection TEXT PRIMARY KEY, used INTEGER NOT NULL, call_limit INTEGER NOT NULL, at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
CREATE INDEX windows_open ON windows (connection, object) WHERE state = 'open';
CREATE INDEX windows_by_object ON windows (connection, object, seq);
CREATE INDEX runs_by_start ON runs (started_at);
CREATE INDEX runs_by_connection ON runs (connection, started_at);
INSERT INTO meta (key, value) VALUES ('stage', 'stage-1');
INSERT INTO object_schemas (hash, body) VALUES ('schema-1', '{"object":"Contact","table":"contact","key":"Id","stamp":"SystemModstamp","deleted":"IsDeleted","fields":[{"name":"Id","column":"id","type":{"kind":"string"},"sourceType":"id","nullable":false,"calculated":false,"custom":false}],"hash":"schema-1"}');
INSERT INTO schemas (connection, object, hash, at) VALUES ('crm', 'Contact', 'schema-1', '2026-11-01T01:00:00.000Z');
INSERT INTO windows (seq, id, connection, object, kind, from_at, until_at, read_from, state, workflow_id, run_id, attempt, created_at, schema_hash, count_before, read_at, receipt, reason, fields) VALUES (1, 'w_5c5e6e90402ee93c86b9', 'crm', 'Contact', 'first', '0001-01-01T00:00:00.000Z', '2026-11-01T01:00:00.000Z', '0001-01-01T00:00:00.000Z', 'staged', 'sync/crm-one', 'run-one', 1, '2026-11-01T01:00:00.000Z', 'schema-1', 10, '2026-11-01T01:00:00.000Z', '{"window":"w_5c5e6e90402ee93c86b9","connection":"crm","object":"Contact","from":"0001-01-01T00:00:00.000Z","until":"2026-11-01T01:00:00.000Z","transport":{"sent":10,"received":10,"shaped":10,"quarantined":0,"superseded":0,"suppressed":0,"filtered":0,"reRead":0,"deleted":0,"tombstones":0},"source":{"before":10,"after":10,"moved":0,"late":0,"unexplained":0},"destination":{"present":10,"missing":0},"verdict":"proven","at":"2026-11-01T01:00:00.000Z"}', NULL, NULL);
INSERT INTO windows (seq, id, connection, object, kind, from_at, until_at, read_from, state, workflow_id, run_id, attempt, created_at, schema_hash, count_before, read_at, receipt, reason, fields) VALUES (2, 'w_6bc359706e456bf0aea0', 'crm', 'Contact', 'head', '2026-11-01T01:00:00.000Z', '2026-11-01T02:00:00.000Z', '2026-11-01T00:55:00.000Z', 'staged', 'sync/crm-one', 'run-one', 1, '2026-11-01T02:00:00.000Z', 'schema-1', 10, '2026-11-01T02:00:00.000Z', '{"window":"w_6bc359706e456bf0aea0","connection":"crm","object":"Contact","from":"2026-11-01T01:00:00.000Z","until":"2026-11-01T02:00:00.000Z","transport":{"sent":10,"received":10,"shaped":10,"quarantined":0,"superseded":0,"suppressed":0,"filtered":0,"reRead":0,"deleted":0,"tombstones":0},"source":{"before":10,"after":10,"moved":0,"late":0,"unexplained":0},"destination":{"present":10,"missing":0},"verdict":"proven","at":"2026-11-01T02:00:00.000Z"}', NULL, NULL);
INSERT INTO windows (seq, id, connection, object, kind, from_at, until_at, read_from, state, workflow_id, run_id, attempt, created_at, schema_hash, count_before, read_at, receipt, reason, fields) VALUES (3, 'w_8f07331cf5447fd61774', 'crm', 'Contact', 'head', '2026-11-01T02:00:00.000Z', '2026-11-01T03:00:00.000Z', '2026-11-01T01:55:00.000Z', 'open', 'sync/crm-two', 'run-two', 2, '2026-11-01T03:00:00.000Z', 'schema-1', 10, '2026-11-01T03:00:00.000Z', NULL, NULL, NULL);
INSERT INTO slices (window_seq, slice, plan, cursor, extracted, batch) VALUES (1, 0, '{"slice":0,"api":"rest","request":{"part":0},"rowsEstimate":100}', '{"next":1}', 1, '{"id":"b_0","window":"w_5c5e6e90402ee93c86b9","slice":0,"rows":"w_5c5e6e90402ee93c86b9/0/rows.parquet","tombstones":null,"quarantine":null,"counts":{"sent":10,"received":10,"shaped":10,"quarantined":0,"superseded":0,"suppressed":0,"filtered":0,"reRead":0,"deleted":0,"tombstones":0}}');
INSERT INTO slices (window_seq, slice, plan, cursor, extracted, batch) VALUES (2, 0, '{"slice":0,"api":"rest","request":{"part":0},"rowsEstimate":100}', NULL, 0, NULL);
INSERT INTO slices (window_seq, slice, plan, cursor, extracted, batch) VALUES (3, 0, '{"slice":0,"api":"rest","request":{"part":0},"rowsEstimate":100}', '{"next":1}', 0, NULL);
INSERT INTO pages (window_seq, slice, page, key, format, rows_sent, bytes, sha256, nul_bytes) VALUES (1, 0, 0, 'w/0/page-0-a.csv', 'csv', 10, 1000, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 0);
INSERT INTO pages (window_seq, slice, page, key, format, rows_sent, bytes, sha256, nul_bytes) VALUES (3, 0, 0, 'w/0/page-0-a.csv', 'csv', 10, 1000, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 0);
INSERT INTO loads (window_seq, sink, batch, receipt) VALUES (1, 'warehouse', 'b_0', '{"batch":"b_0","alreadyApplied":false,"inserted":10,"updated":0,"unchanged":0,"stale":0,"ms":5}');
INSERT INTO coverage (sink, connection, object, from_at, until_at) VALUES ('', 'crm', 'Contact', '0001-01-01T00:00:00.000Z', '2026-11-01T02:00:00.000Z');
INSERT INTO coverage (sink, connection, object, from_at, until_at) VALUES ('warehouse', 'crm', 'Contact', '0001-01-01T00:00:00.000Z', '2026-11-01T01:00:00.000Z');
INSERT INTO landed (window_seq, sink) VALUES (1, 'warehouse');
INSERT INTO sinks (sink, epoch, seq) VALUES ('warehouse', 'e', 1);
INSERT INTO runs (workflow_id, run_id, connection, started_at, summary) VALUES ('sync/crm', 'run-one', 'crm', '2026-11-01T01:00:00.000Z', '{"connection":"crm","workflowId":"sync/crm","runId":"run-one","trigger":"schedule","outcome":"ok","startedAt":"2026-11-01T01:00:00.000Z","endedAt":"2026-11-01T01:00:00.000Z","idle":0,"objects":[]}');
INSERT INTO buckets (connection, tokens, at_ms) VALUES ('crm', 7, 1793494800000);
INSERT INTO quotas (connection, used, call_limit, at_ms) VALUES ('crm', 5, 100, 1793494800000);
PRAGMA user_version = 2;
