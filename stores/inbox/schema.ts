/**
 * Entry n leads from `user_version` n to n + 1; a released entry never changes.
 * state: 0 waiting, 1 settled, 2 parked; `claimed`: since when the profiles have what waits only for the warehouse.
 * Positions are never given twice, or a reader would pass over a new event.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE events (
     position INTEGER PRIMARY KEY AUTOINCREMENT,
     connection TEXT NOT NULL,
     id TEXT NOT NULL,
     object TEXT NOT NULL,
     record TEXT NOT NULL,
     kind TEXT NOT NULL,
     body TEXT,
     at TEXT,
     accepted TEXT NOT NULL,
     attempts INTEGER NOT NULL DEFAULT 0,
     state INTEGER NOT NULL DEFAULT 0,
     claimed TEXT,
     settled TEXT,
     reason TEXT
   ) STRICT;
   CREATE UNIQUE INDEX events_by_id ON events (connection, id);
   CREATE INDEX events_waiting ON events (connection, position) WHERE state = 0;
   CREATE INDEX events_parked ON events (connection, position) WHERE state = 2;
   CREATE INDEX events_settled ON events (settled) WHERE state = 1;
   CREATE INDEX events_by_record ON events (connection, object, record);
   CREATE TABLE connections (
     connection TEXT PRIMARY KEY,
     waiting INTEGER NOT NULL,
     parked INTEGER NOT NULL,
     last TEXT
   ) STRICT, WITHOUT ROWID;`,
  `CREATE TABLE topics (
     connection TEXT NOT NULL,
     topic TEXT NOT NULL,
     heard TEXT,
     body TEXT NOT NULL,
     PRIMARY KEY (connection, topic)
   ) STRICT, WITHOUT ROWID;`,
];
