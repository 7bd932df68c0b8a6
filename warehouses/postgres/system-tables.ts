import { randomUUID } from 'node:crypto';
import type { RunSummary } from '../../schemas/run.ts';
import type { SinkState } from '../../schemas/sink.ts';
import { freshIntervals, intervalRow, QUARANTINE_COLUMNS, recordNews, sinkStateOf } from '../fact-rows.ts';
import type { IntervalRow, QuarantinedRow, SchemaChange } from '../warehouse.ts';
import type { Session } from './client.ts';
import { createSchemaSql } from './schema.ts';

/** What Headwater itself keeps in the warehouse. Instants are texts of fixed width, as everywhere in Headwater. */
export const SYSTEM_DDL = [
  createSchemaSql('_headwater'),
  'CREATE TABLE IF NOT EXISTS _headwater.sink (epoch text NOT NULL, seq bigint NOT NULL)',
  `CREATE TABLE IF NOT EXISTS _headwater.intervals (
  seq bigint NOT NULL UNIQUE, "window" text PRIMARY KEY, connection text NOT NULL, object text NOT NULL,
  "from" text NOT NULL, until text NOT NULL, attempt integer NOT NULL, batches text[] NOT NULL,
  receipt json NOT NULL, committed_at timestamptz NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS _headwater.batches (
  batch text NOT NULL, "window" text NOT NULL, slice integer NOT NULL, attempt integer NOT NULL,
  connection text NOT NULL, object text NOT NULL, "table" text NOT NULL, inserted bigint NOT NULL,
  updated bigint NOT NULL, unchanged bigint NOT NULL, stale bigint NOT NULL, counts json NOT NULL,
  replaced_by text, loaded_at timestamptz NOT NULL, PRIMARY KEY ("window", batch))`,
  `CREATE TABLE IF NOT EXISTS _headwater.runs (
  connection text NOT NULL, workflow_id text NOT NULL, run_id text NOT NULL, "trigger" text NOT NULL,
  outcome text NOT NULL, started_at text NOT NULL, ended_at text, idle integer NOT NULL, objects json NOT NULL,
  PRIMARY KEY (workflow_id, run_id))`,
  `CREATE TABLE IF NOT EXISTS _headwater.quarantine (
  batch text NOT NULL, "window" text NOT NULL, connection text NOT NULL, object text NOT NULL,
  record text, field text, value text, reason text NOT NULL, raw text, quarantined_at timestamptz NOT NULL,
  resolved_at timestamptz, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)`,
  'CREATE INDEX IF NOT EXISTS quarantine_by_record ON _headwater.quarantine (connection, object, record)',
  `CREATE TABLE IF NOT EXISTS _headwater.schema_changes (
  changed_at timestamptz NOT NULL, connection text NOT NULL, "table" text NOT NULL, "column" text, change text NOT NULL,
  before text, after text, action text NOT NULL, policy text NOT NULL)`,
  // Tables from which an erasure removed rows, until they are written anew.
  'CREATE TABLE IF NOT EXISTS _headwater.to_rewrite ("table" text PRIMARY KEY)',
];

/** Two processes may start at once. The epoch is made with the tables: a warehouse that was dropped and made anew has another. */
export async function createSystemTables(session: Session): Promise<void> {
  await session.rows("SELECT pg_advisory_xact_lock(hashtextextended('headwater system tables', 0))");
  for (const statement of SYSTEM_DDL) await session.run(statement);
  await session.run(
    'INSERT INTO _headwater.sink SELECT $1, 0 WHERE NOT EXISTS (SELECT 1 FROM _headwater.sink)',
    [randomUUID()],
  );
}

export async function readSinkState(session: Session, lock = false): Promise<SinkState> {
  const [row] = await session.rows(`SELECT epoch, seq FROM _headwater.sink${lock ? ' FOR UPDATE' : ''}`);
  return sinkStateOf(row);
}

export const INSERT_INTERVALS = `INSERT INTO _headwater.intervals
SELECT $2::bigint + n, w->>'window', w->>'connection', w->>'object', w->>'from', w->>'until', (w->>'attempt')::integer,
  ARRAY(SELECT json_array_elements_text(w->'batches')), w->'receipt', $3::timestamptz
FROM json_array_elements($1::json) WITH ORDINALITY AS rows (w, n)`;

/** I3: a window that has its row is a no-op, and an attempt lower than one seen for its window is refused. */
export async function writeIntervals(session: Session, rows: IntervalRow[], now: string): Promise<SinkState> {
  // The row of the sink is the lock: `seq` rises by one writer at a time.
  const state = await readSinkState(session, true);
  if (rows.length === 0) return state;
  const windows = rows.map((row) => row.window);
  const known = await session.rows('SELECT "window" FROM _headwater.intervals WHERE "window" = ANY($1)', [
    windows,
  ]);
  const seen = await session.rows(
    'SELECT "window", max(attempt) AS attempt FROM _headwater.batches WHERE "window" = ANY($1) GROUP BY "window"',
    [windows],
  );
  const fresh = freshIntervals(rows, known, seen);
  if (fresh.length === 0) return state;
  await session.run(INSERT_INTERVALS, [JSON.stringify(fresh), String(state.seq), now]);
  await session.run('UPDATE _headwater.sink SET seq = $1::bigint', [String(state.seq + fresh.length)]);
  return { epoch: state.epoch, seq: state.seq + fresh.length };
}

export async function readIntervals(
  session: Session,
  afterSeq: number,
): Promise<(IntervalRow & { seq: number })[]> {
  const rows = await session.rows(
    'SELECT seq, "window", connection, object, "from", until, attempt, to_json(batches)::text AS batches, receipt::text AS receipt ' +
      'FROM _headwater.intervals WHERE seq > $1::bigint ORDER BY seq',
    [String(afterSeq)],
  );
  return rows.map(intervalRow);
}

/** A run has one row: the summary at its end takes the place of the one at its beginning. */
export async function writeRun(session: Session, run: RunSummary): Promise<void> {
  const { connection, workflowId, runId, trigger, outcome, startedAt, endedAt, idle, objects } = run;
  await session.run(
    `INSERT INTO _headwater.runs VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::json)
     ON CONFLICT (workflow_id, run_id) DO UPDATE SET connection = excluded.connection, "trigger" = excluded."trigger",
       outcome = excluded.outcome, started_at = excluded.started_at, ended_at = excluded.ended_at,
       idle = excluded.idle, objects = excluded.objects`,
    [connection, workflowId, runId, trigger, outcome, startedAt, endedAt, idle, JSON.stringify(objects)],
  );
}

/** Returns those that are news: an ignored column is told once, not in every run. */
export const recordChanges = (
  session: Session,
  name: string,
  changes: (SchemaChange & { policy: string })[],
  now: string,
): Promise<SchemaChange[]> =>
  recordNews(changes, {
    isKnown: async ({ table, column, change, after, action, policy }) => {
      const known = await session.rows(
        'SELECT 1 FROM _headwater.schema_changes WHERE connection = $1 AND "table" = $2 AND "column" IS NOT DISTINCT FROM $3 ' +
          'AND change = $4 AND after IS NOT DISTINCT FROM $5 AND action = $6 AND policy = $7 LIMIT 1',
        [name, table, column, change, after, action, policy],
      );
      return known.length > 0;
    },
    insert: ({ table, column, change, before, after, action, policy }) =>
      session.run(
        'INSERT INTO _headwater.schema_changes VALUES ($1::timestamptz, $2, $3, $4, $5, $6, $7, $8, $9)',
        [now, name, table, column, change, before, after, action, policy],
      ),
  });

export async function setAsideRows(
  session: Session,
  rows: readonly QuarantinedRow[],
  now: string,
): Promise<void> {
  await session.run(
    `INSERT INTO _headwater.quarantine ${QUARANTINE_COLUMNS}
SELECT r->>'batch', r->>'window', r->>'connection', r->>'object', r->>'record', r->>'field', NULL, r->>'reason', NULL, $2::timestamptz
FROM json_array_elements($1::json) AS r
WHERE NOT EXISTS (SELECT 1 FROM _headwater.quarantine AS q
  WHERE q.batch = r->>'batch' AND q.connection = r->>'connection' AND q.object = r->>'object'
    AND q.record = r->>'record' AND q.field = r->>'field')`,
    // A NUL character is possible in JSON and not in a text of Postgres.
    [JSON.stringify(rows).replaceAll('\\u0000', '\\ufffd'), now],
  );
}
