/**
 * Forward migrations of the ledger file: entry n leads from `user_version` n to n + 1. An entry that has been released never
 * changes; test/golden/ledger holds a file of each version, which must open for ever.
 */
export const MIGRATIONS: readonly string[] = [
  `
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
  ) STRICT;
  CREATE INDEX windows_open ON windows (connection, object) WHERE state = 'open';
  CREATE INDEX windows_by_object ON windows (connection, object, seq);

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

  -- sink is '' for the source's own coverage.
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
  CREATE INDEX runs_by_start ON runs (started_at);
  CREATE INDEX runs_by_connection ON runs (connection, started_at);

  CREATE TABLE buckets (connection TEXT PRIMARY KEY, tokens REAL NOT NULL, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE quotas (
    connection TEXT PRIMARY KEY, used INTEGER NOT NULL, call_limit INTEGER NOT NULL, at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // A partial window's fields as a JSON array; NULL for a window of all fields.
  'ALTER TABLE windows ADD COLUMN fields TEXT',
];
