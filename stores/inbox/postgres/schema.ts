/** Forward migrations of the inbox in Postgres; an entry that has been released never changes. Columns as those of SQLite. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE inbox_events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    object text COLLATE "C" NOT NULL,
    record text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    body text,
    at text COLLATE "C",
    accepted text COLLATE "C" NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    state smallint NOT NULL DEFAULT 0,
    claimed text COLLATE "C",
    settled text COLLATE "C",
    reason text
  );
  CREATE UNIQUE INDEX inbox_events_by_id ON inbox_events (connection, id);
  CREATE INDEX inbox_events_waiting ON inbox_events (connection, position) WHERE state = 0;
  CREATE INDEX inbox_events_parked ON inbox_events (connection, position) WHERE state = 2;
  CREATE INDEX inbox_events_settled ON inbox_events (settled) WHERE state = 1;
  CREATE INDEX inbox_events_by_record ON inbox_events (connection, object, record);
  CREATE TABLE inbox_connections (
    connection text COLLATE "C" PRIMARY KEY,
    waiting bigint NOT NULL,
    parked bigint NOT NULL,
    last text COLLATE "C"
  );
  `,
  `
  CREATE TABLE inbox_topics (
    connection text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    heard text COLLATE "C",
    body text NOT NULL,
    PRIMARY KEY (connection, topic)
  );
  `,
];
