/**
 * Forward migrations of claims.db: entry n leads from `user_version` n to n + 1. An entry that has been released never changes.
 * Times are integers, ms since 1970 (a year-1 stamp is negative).
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  -- One row: the last numbers given and the end of the chain, so that a transaction reads and writes them once.
  CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, rid INTEGER NOT NULL, pid INTEGER NOT NULL,
    position INTEGER NOT NULL, cause INTEGER NOT NULL, batch INTEGER NOT NULL, hash TEXT NOT NULL, edges INTEGER NOT NULL,
    suppressed INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE objects (
    oid INTEGER PRIMARY KEY, entity TEXT NOT NULL, source TEXT NOT NULL, object TEXT NOT NULL,
    UNIQUE (source, object, entity)
  ) STRICT;

  -- The salt makes the record's key: an erased record has none, nor a name.
  CREATE TABLE records (
    rid INTEGER PRIMARY KEY, oid INTEGER NOT NULL, record TEXT, pid INTEGER NOT NULL, home INTEGER NOT NULL, salt TEXT,
    head INTEGER, head_id TEXT, stamp INTEGER, confirmed INTEGER NOT NULL, deleted INTEGER NOT NULL, row_hash TEXT,
    events INTEGER NOT NULL, last INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX records_by_ref ON records (oid, record);
  CREATE INDEX records_by_profile ON records (pid);

  CREATE TABLE profiles (
    pid INTEGER PRIMARY KEY, entity TEXT NOT NULL, version INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
    deleted INTEGER NOT NULL, merged_into INTEGER, contested INTEGER NOT NULL, guarded INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX profiles_by_entity ON profiles (entity, pid);
  CREATE INDEX profiles_contested ON profiles (seq) WHERE contested = 1;
  CREATE INDEX profiles_merged ON profiles (merged_into) WHERE merged_into IS NOT NULL;
  CREATE TABLE moves (pid INTEGER NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (pid, rid)) STRICT, WITHOUT ROWID;

  CREATE TABLE identifiers (hash TEXT NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (hash, rid)) STRICT, WITHOUT ROWID;
  CREATE TABLE edges (a INTEGER NOT NULL, b INTEGER NOT NULL, kind TEXT NOT NULL, PRIMARY KEY (a, b, kind)) STRICT, WITHOUT ROWID;
  CREATE INDEX edges_back ON edges (b);

  CREATE TABLE causes (
    number INTEGER PRIMARY KEY, at INTEGER NOT NULL, via TEXT NOT NULL, run TEXT, actor TEXT, reason TEXT
  ) STRICT;
  CREATE INDEX causes_by_run ON causes (run) WHERE run IS NOT NULL;
  CREATE INDEX causes_by_time ON causes (at);
  -- A record's events are found from its last one, each by the one after it: an index would scatter every write.
  CREATE TABLE events (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, kind INTEGER NOT NULL, rid INTEGER, pid INTEGER, cause INTEGER NOT NULL,
    confirmed INTEGER, previous INTEGER, body BLOB
  ) STRICT;
  CREATE TABLE confirmations (seq INTEGER PRIMARY KEY, confirmed INTEGER NOT NULL) STRICT;
  CREATE TABLE batches (
    number INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, cause INTEGER NOT NULL,
    root TEXT NOT NULL, hash TEXT NOT NULL
  ) STRICT;
  CREATE INDEX batches_by_cause ON batches (cause);

  CREATE TABLE rules (
    entity TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (entity, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE reviews (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, entity TEXT NOT NULL, pid INTEGER NOT NULL, field TEXT, candidates TEXT NOT NULL,
    evidence TEXT NOT NULL, opened_at INTEGER NOT NULL, state TEXT NOT NULL, decision TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX reviews_by_state ON reviews (state, opened_at);
  CREATE INDEX reviews_by_profile ON reviews (pid);

  CREATE TABLE outbox (
    position INTEGER PRIMARY KEY, pid INTEGER NOT NULL, version INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE cursors (consumer TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE suppressed (hash TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE TABLE applied (batch TEXT PRIMARY KEY, receipt TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE windows (id TEXT PRIMARY KEY, batches TEXT NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  -- What was asked for and is not settled everywhere yet, and the last that were: sealed under the key of the record rid.
  CREATE TABLE changes (
    id TEXT PRIMARY KEY, rid INTEGER NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL, seal TEXT NOT NULL, body BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX changes_by_record ON changes (rid);
  CREATE INDEX changes_pending ON changes (at) WHERE state = 'pending';
  `,
  `
  -- Which records have ever said that they refer to another, by a keyed hash of what they named.
  CREATE TABLE record_references (hash TEXT NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY (hash, rid)) STRICT, WITHOUT ROWID;
  `,
];
