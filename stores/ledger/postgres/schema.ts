/**
 * Forward migrations of the ledger in Postgres; an entry that has been released never changes. Times are texts as everywhere in
 * the ledger, and texts compare by their bytes, so that both back ends have one order.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key text COLLATE "C" PRIMARY KEY, value text NOT NULL);

  CREATE TABLE object_schemas (hash text COLLATE "C" PRIMARY KEY, body text NOT NULL);
  CREATE TABLE schemas (
    connection text COLLATE "C" NOT NULL, object text COLLATE "C" NOT NULL,
    hash text COLLATE "C" NOT NULL REFERENCES object_schemas (hash), at text NOT NULL,
    PRIMARY KEY (connection, object)
  );

  CREATE TABLE windows (
    seq bigint PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    connection text COLLATE "C" NOT NULL,
    object text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('first', 'head', 'past')),
    from_at text COLLATE "C" NOT NULL,
    until_at text COLLATE "C" NOT NULL CHECK (from_at < until_at),
    read_from text COLLATE "C" NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'staged', 'abandoned')),
    workflow_id text NOT NULL,
    run_id text NOT NULL,
    attempt integer NOT NULL CHECK (attempt > 0),
    created_at text COLLATE "C" NOT NULL,
    schema_hash text COLLATE "C" REFERENCES object_schemas (hash),
    count_before bigint,
    read_at text,
    receipt text,
    reason text,
    -- A partial window's fields as a JSON array; NULL for a window of all fields.
    fields text
  );
  CREATE INDEX windows_open ON windows (connection, object) WHERE state = 'open';
  CREATE INDEX windows_by_object ON windows (connection, object, seq);

  CREATE TABLE slices (
    window_seq bigint NOT NULL REFERENCES windows (seq) ON DELETE CASCADE,
    slice integer NOT NULL,
    plan text NOT NULL,
    cursor text,
    extracted boolean NOT NULL DEFAULT false,
    batch text,
    PRIMARY KEY (window_seq, slice)
  );

  CREATE TABLE pages (
    window_seq bigint NOT NULL,
    slice integer NOT NULL,
    page integer NOT NULL,
    key text NOT NULL,
    format text NOT NULL,
    rows_sent bigint NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    nul_bytes bigint NOT NULL,
    PRIMARY KEY (window_seq, slice, page),
    FOREIGN KEY (window_seq, slice) REFERENCES slices (window_seq, slice) ON DELETE CASCADE
  );

  CREATE TABLE loads (
    window_seq bigint NOT NULL REFERENCES windows (seq) ON DELETE CASCADE,
    sink text COLLATE "C" NOT NULL,
    batch text COLLATE "C" NOT NULL,
    receipt text NOT NULL,
    PRIMARY KEY (window_seq, sink, batch)
  );

  -- sink is '' for the source's own coverage.
  CREATE TABLE coverage (
    sink text COLLATE "C" NOT NULL,
    connection text COLLATE "C" NOT NULL,
    object text COLLATE "C" NOT NULL,
    from_at text COLLATE "C" NOT NULL,
    until_at text COLLATE "C" NOT NULL CHECK (from_at < until_at),
    PRIMARY KEY (sink, connection, object, from_at)
  );

  CREATE TABLE landed (
    window_seq bigint NOT NULL REFERENCES windows (seq) ON DELETE CASCADE,
    sink text COLLATE "C" NOT NULL,
    PRIMARY KEY (window_seq, sink)
  );

  CREATE TABLE sinks (sink text COLLATE "C" PRIMARY KEY, epoch text NOT NULL, seq bigint NOT NULL);

  CREATE TABLE runs (
    workflow_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    connection text COLLATE "C" NOT NULL,
    started_at text COLLATE "C" NOT NULL,
    summary text NOT NULL,
    PRIMARY KEY (workflow_id, run_id)
  );
  CREATE INDEX runs_by_start ON runs (started_at);
  CREATE INDEX runs_by_connection ON runs (connection, started_at);

  CREATE TABLE buckets (
    connection text COLLATE "C" PRIMARY KEY, tokens double precision NOT NULL, at_ms bigint NOT NULL
  ) WITH (fillfactor = 20);
  CREATE TABLE quotas (
    connection text COLLATE "C" PRIMARY KEY, used bigint NOT NULL, call_limit bigint NOT NULL, at_ms bigint NOT NULL
  );
  `,
];
