/**
 * Forward migrations of the claims in Postgres; an entry that has been released never changes. The ledger's tables lie in the
 * same schema, so names that both have carry `claims_` here. Times are whole ms since 1970 (a year-1 stamp is negative), and
 * texts compare by their bytes, so that both back ends have one order.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE claims_meta (key text COLLATE "C" PRIMARY KEY, value text NOT NULL);
  -- One row: the last numbers given and the end of the chain. Whoever changes anything locks it first.
  CREATE TABLE claims_head (
    one integer PRIMARY KEY CHECK (one = 1), seq bigint NOT NULL, rid bigint NOT NULL, pid bigint NOT NULL,
    position bigint NOT NULL, cause bigint NOT NULL, batch bigint NOT NULL, hash text NOT NULL, edges bigint NOT NULL,
    suppressed bigint NOT NULL
  ) WITH (fillfactor = 20);
  CREATE TABLE claims_counts (name text COLLATE "C" PRIMARY KEY, n bigint NOT NULL) WITH (fillfactor = 20);
  CREATE TABLE objects (
    oid integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, entity text COLLATE "C" NOT NULL, source text COLLATE "C" NOT NULL,
    object text COLLATE "C" NOT NULL, UNIQUE (source, object, entity)
  );

  -- The salt makes the record's key: an erased record has none, nor a name. Room is left so that a new version of a row
  -- stays on its page and no index is touched.
  CREATE TABLE records (
    rid bigint PRIMARY KEY, oid integer NOT NULL, record text COLLATE "C", pid bigint NOT NULL, home bigint NOT NULL,
    salt text, head bigint, head_id text, stamp bigint, confirmed bigint NOT NULL, deleted boolean NOT NULL, row_hash text,
    events integer NOT NULL
  ) WITH (fillfactor = 75);
  CREATE UNIQUE INDEX records_by_ref ON records (oid, record);
  CREATE INDEX records_by_profile ON records (pid);

  CREATE TABLE profiles (
    pid bigint PRIMARY KEY, entity text COLLATE "C" NOT NULL, version bigint NOT NULL, seq bigint NOT NULL, at bigint NOT NULL,
    deleted boolean NOT NULL, merged_into bigint, contested boolean NOT NULL, guarded boolean NOT NULL
  ) WITH (fillfactor = 75);
  CREATE INDEX profiles_by_entity ON profiles (entity, pid);
  CREATE INDEX profiles_contested ON profiles (pid) WHERE contested;
  CREATE INDEX profiles_merged ON profiles (merged_into) WHERE merged_into IS NOT NULL;
  CREATE TABLE moves (pid bigint NOT NULL, rid bigint NOT NULL, PRIMARY KEY (pid, rid));

  CREATE TABLE identifiers (hash text COLLATE "C" NOT NULL, rid bigint NOT NULL, PRIMARY KEY (hash, rid));
  CREATE TABLE edges (a bigint NOT NULL, b bigint NOT NULL, kind text COLLATE "C" NOT NULL, PRIMARY KEY (a, b, kind));
  CREATE INDEX edges_back ON edges (b);

  CREATE TABLE causes (
    number bigint PRIMARY KEY, at bigint NOT NULL, via text NOT NULL, run text COLLATE "C", actor text, reason text
  );
  CREATE INDEX causes_by_run ON causes (run) WHERE run IS NOT NULL;
  CREATE INDEX causes_by_time ON causes (at);
  CREATE TABLE events (
    seq bigint PRIMARY KEY, id text NOT NULL, kind smallint NOT NULL, rid bigint, pid bigint, cause bigint NOT NULL,
    confirmed bigint, body bytea
  );
  CREATE INDEX events_by_record ON events (rid, seq) WHERE rid IS NOT NULL;
  -- Sealed bodies do not compress: trying costs time.
  ALTER TABLE events ALTER COLUMN body SET STORAGE EXTERNAL;
  CREATE TABLE confirmations (seq bigint PRIMARY KEY, confirmed bigint NOT NULL);
  CREATE TABLE batches (
    number bigint PRIMARY KEY, first_seq bigint NOT NULL, last_seq bigint NOT NULL, cause bigint NOT NULL,
    root text NOT NULL, hash text NOT NULL
  );
  CREATE INDEX batches_by_cause ON batches (cause);

  CREATE TABLE rules (
    entity text COLLATE "C" NOT NULL, seq bigint NOT NULL, hash text NOT NULL, body text NOT NULL, at bigint NOT NULL,
    PRIMARY KEY (entity, seq)
  );
  CREATE INDEX rules_by_seq ON rules (seq);
  CREATE TABLE reviews (
    id text COLLATE "C" PRIMARY KEY, kind text NOT NULL, entity text NOT NULL, pid bigint NOT NULL, field text,
    candidates text NOT NULL, evidence text NOT NULL, opened_at bigint NOT NULL, state text COLLATE "C" NOT NULL, decision text
  );
  CREATE INDEX reviews_by_state ON reviews (state, opened_at, id);
  CREATE INDEX reviews_by_profile ON reviews (pid);

  CREATE TABLE outbox (
    position bigint PRIMARY KEY, pid bigint NOT NULL, version bigint NOT NULL, seq bigint NOT NULL, at bigint NOT NULL
  );
  CREATE TABLE cursors (consumer text COLLATE "C" PRIMARY KEY, position bigint NOT NULL);
  CREATE TABLE suppressed (hash text COLLATE "C" PRIMARY KEY);
  CREATE TABLE applied (batch text COLLATE "C" PRIMARY KEY, receipt text NOT NULL);
  CREATE TABLE claims_windows (id text COLLATE "C" PRIMARY KEY, batches text NOT NULL, seq bigint NOT NULL);
  `,
  `
  -- What was asked for and is not settled everywhere yet, and the last that were: sealed under the key of the record rid.
  CREATE TABLE changes (
    id text COLLATE "C" PRIMARY KEY, rid bigint NOT NULL, state text COLLATE "C" NOT NULL, at bigint NOT NULL,
    seal text NOT NULL, body bytea NOT NULL
  );
  CREATE INDEX changes_by_record ON changes (rid);
  CREATE INDEX changes_pending ON changes (at) WHERE state = 'pending';
  `,
  `
  -- Which records have ever said that they refer to another, by a keyed hash of what they named.
  CREATE TABLE record_references (hash text COLLATE "C" NOT NULL, rid bigint NOT NULL, PRIMARY KEY (hash, rid));
  `,
];
