import { randomUUID } from 'node:crypto';
import type { RunSummary } from '../../schemas/run.ts';
import type { SinkState } from '../../schemas/sink.ts';
import { freshIntervals, intervalRow, recordNews, sinkStateOf } from '../fact-rows.ts';
import type { IntervalRow, QuarantinedRow, SchemaChange } from '../warehouse.ts';
import type { Parameter } from '../pg-session.ts';
import type { Client, Session } from './client.ts';
import { inChunks, listed } from './lists.ts';
import { ensureSchema } from './schema.ts';
import { TEXT } from './types.ts';

export const WRITER_DDL = 'CREATE TABLE IF NOT EXISTS _headwater.writer (n integer) DISTSTYLE ALL';

/** What Headwater itself keeps in the warehouse. Keys are the statements' matter: Redshift checks none. JSON stays text, as it was written. */
export const SYSTEM_DDL = [
  `CREATE TABLE IF NOT EXISTS _headwater.sink (epoch varchar(64) NOT NULL, seq bigint NOT NULL) DISTSTYLE ALL`,
  `CREATE TABLE IF NOT EXISTS _headwater.intervals (
  seq bigint NOT NULL, "window" ${TEXT} NOT NULL, connection ${TEXT} NOT NULL, object ${TEXT} NOT NULL,
  "from" varchar(32) NOT NULL, until varchar(32) NOT NULL, attempt integer NOT NULL, batches ${TEXT} NOT NULL,
  receipt ${TEXT} NOT NULL, committed_at timestamptz NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS _headwater.batches (
  batch ${TEXT} NOT NULL, "window" ${TEXT} NOT NULL, slice integer NOT NULL, attempt integer NOT NULL,
  connection ${TEXT} NOT NULL, object ${TEXT} NOT NULL, "table" ${TEXT} NOT NULL, inserted bigint NOT NULL,
  updated bigint NOT NULL, unchanged bigint NOT NULL, stale bigint NOT NULL, counts ${TEXT} NOT NULL,
  loaded_at timestamptz NOT NULL, replaced_by ${TEXT})`,
  `CREATE TABLE IF NOT EXISTS _headwater.runs (
  connection ${TEXT} NOT NULL, workflow_id ${TEXT} NOT NULL, run_id ${TEXT} NOT NULL, "trigger" ${TEXT} NOT NULL,
  outcome ${TEXT} NOT NULL, started_at varchar(32) NOT NULL, ended_at varchar(32), idle integer NOT NULL, objects ${TEXT} NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS _headwater.quarantine (
  batch ${TEXT} NOT NULL, "window" ${TEXT} NOT NULL, connection ${TEXT} NOT NULL, object ${TEXT} NOT NULL,
  record ${TEXT}, field ${TEXT}, value ${TEXT}, reason ${TEXT} NOT NULL, "raw" ${TEXT}, quarantined_at timestamptz NOT NULL,
  id varchar(64) NOT NULL, resolved_at timestamptz)`,
  `CREATE TABLE IF NOT EXISTS _headwater.schema_changes (
  changed_at timestamptz NOT NULL, connection ${TEXT} NOT NULL, "table" ${TEXT} NOT NULL, "column" ${TEXT},
  change varchar(64) NOT NULL, before ${TEXT}, after ${TEXT}, action varchar(64) NOT NULL, policy varchar(64) NOT NULL,
  id varchar(64) NOT NULL)`,
  // Tables from which an erasure removed rows, until their blocks are written anew.
  `CREATE TABLE IF NOT EXISTS _headwater.to_rewrite ("table" ${TEXT} NOT NULL) DISTSTYLE ALL`,
];

const NAMES = [WRITER_DDL, ...SYSTEM_DDL].map((sql) => /_headwater\.(\w+)/.exec(sql)?.[1] ?? '');

async function areMade(session: Session): Promise<boolean> {
  const [found] = await session.rows(
    `SELECT count(*) AS made FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = '_headwater' AND c.relname IN (${NAMES.map((name) => `'${name}'`).join(', ')})`,
  );
  if (Number(found?.['made']) < NAMES.length) return false;
  return (await session.rows('SELECT seq FROM _headwater.sink')).length > 0;
}

/**
 * The table that all writers lock comes first. Two processes may make it at once: one of them fails then, and finds it made. The
 * epoch is made with the tables: a warehouse that was dropped and made anew has another.
 */
export async function createSystemTables(client: Client): Promise<void> {
  const what = 'creating the system tables';
  // Whoever finds them made waits for no load.
  if (await client.read(what, areMade)) return;
  const first = (): Promise<void> =>
    client.first(what, async (session) => {
      await ensureSchema(session, '_headwater');
      await session.run(WRITER_DDL);
    });
  await first().catch(first);
  await client.write(what, async (session) => {
    for (const statement of SYSTEM_DDL) await session.run(statement);
    const sink = await session.rows('SELECT seq FROM _headwater.sink');
    if (sink.length === 0) await session.run('INSERT INTO _headwater.sink VALUES ($1, 0)', [randomUUID()]);
  });
}

export async function readSinkState(session: Session): Promise<SinkState> {
  const [row] = await session.rows('SELECT epoch, seq FROM _headwater.sink');
  return sinkStateOf(row);
}

/** Rows of one statement. */
const ROWS_AT_ONCE = 100;

/** `rows` lines of these values each, numbered through. */
export const valuesSql = (rows: number, line: readonly string[]): string =>
  Array.from({ length: rows }, (_, row) => {
    const first = row * line.filter((value) => value.includes('?')).length;
    let at = 0;
    return `(${line.map((value) => value.replace('?', () => `$${first + ++at}`)).join(', ')})`;
  }).join(',\n  ');

const INSTANT = 'CAST(? AS timestamptz)';
const INTERVAL = [...Array.from({ length: 9 }, () => '?'), INSTANT];

export const insertIntervalsSql = (rows: number): string =>
  `INSERT INTO _headwater.intervals (seq, "window", connection, object, "from", until, attempt, batches, receipt, committed_at) VALUES\n  ${valuesSql(rows, INTERVAL)}`;

/** I3: a window that has its row is a no-op, and an attempt lower than one seen for its window is refused. */
export async function writeIntervals(session: Session, rows: IntervalRow[], now: string): Promise<SinkState> {
  // Writers follow each other: `seq` rises by one of them at a time.
  const state = await readSinkState(session);
  if (rows.length === 0) return state;
  const windows = rows.map((row) => row.window);
  const known = await inChunks(windows, (part) =>
    session.rows(`SELECT "window" FROM _headwater.intervals WHERE "window" IN ${listed(part)}`, part),
  );
  const seen = await inChunks(windows, (part) =>
    session.rows(
      `SELECT "window", max(attempt) AS attempt FROM _headwater.batches WHERE "window" IN ${listed(part)} GROUP BY "window"`,
      part,
    ),
  );
  const fresh = freshIntervals(rows, known, seen);
  for (let at = 0; at < fresh.length; at += ROWS_AT_ONCE) {
    const part = fresh.slice(at, at + ROWS_AT_ONCE);
    const values = part.flatMap((row, n): Parameter[] => [
      ...[
        String(state.seq + at + n + 1),
        row.window,
        row.connection,
        row.object,
        row.from,
        row.until,
        row.attempt,
      ],
      ...[JSON.stringify(row.batches), JSON.stringify(row.receipt), now],
    ]);
    await session.run(insertIntervalsSql(part.length), values);
  }
  const seq = state.seq + fresh.length;
  if (fresh.length > 0) await session.run('UPDATE _headwater.sink SET seq = $1', [String(seq)]);
  return { epoch: state.epoch, seq };
}

export async function readIntervals(
  session: Session,
  afterSeq: number,
): Promise<(IntervalRow & { seq: number })[]> {
  const rows = await session.rows(
    'SELECT seq, "window", connection, object, "from", until, attempt, batches, receipt FROM _headwater.intervals WHERE seq > $1 ORDER BY seq',
    [String(afterSeq)],
  );
  return rows.map(intervalRow);
}

/** A run has one row: the summary at its end takes the place of the one at its beginning. */
export async function writeRun(session: Session, run: RunSummary): Promise<void> {
  const { connection, workflowId, runId, trigger, outcome, startedAt, endedAt, idle, objects } = run;
  await session.run('DELETE FROM _headwater.runs WHERE workflow_id = $1 AND run_id = $2', [
    workflowId,
    runId,
  ]);
  await session.run(
    `INSERT INTO _headwater.runs (connection, workflow_id, run_id, "trigger", outcome, started_at, ended_at, idle, objects) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
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
        'SELECT "column" AS col, after FROM _headwater.schema_changes WHERE connection = $1 AND "table" = $2 AND change = $3 AND action = $4 AND policy = $5',
        [name, table, change, action, policy],
      );
      return known.some((row) => row['col'] === column && row['after'] === after);
    },
    insert: ({ table, column, change, before, after, action, policy }) =>
      session.run(
        `INSERT INTO _headwater.schema_changes (changed_at, connection, "table", "column", change, before, after, action, policy, id) VALUES ${valuesSql(1, [INSTANT, ...Array.from({ length: 9 }, () => '?')])}`,
        [now, name, table, column, change, before, after, action, policy, randomUUID()],
      ),
  });

/** Those of a batch, record and field that are there already are passed over. */
export async function setAsideRows(
  session: Session,
  rows: readonly QuarantinedRow[],
  now: string,
): Promise<void> {
  const identity = (batch: unknown, record: unknown, field: unknown): string =>
    JSON.stringify([batch, record, field]);
  const found = await inChunks([...new Set(rows.map((row) => row.batch))], (part) =>
    session.rows(
      `SELECT batch, record, field FROM _headwater.quarantine WHERE batch IN ${listed(part)} AND record IS NOT NULL`,
      part,
    ),
  );
  const known = new Set(found.map((row) => identity(row['batch'], row['record'], row['field'])));
  const fresh = rows.filter((row) => !known.has(identity(row.batch, row.record, row.field)));
  for (let at = 0; at < fresh.length; at += ROWS_AT_ONCE) {
    const part = fresh.slice(at, at + ROWS_AT_ONCE);
    await session.run(
      `INSERT INTO _headwater.quarantine (batch, "window", connection, object, record, field, reason, quarantined_at, id) VALUES\n  ${valuesSql(part.length, [...Array.from({ length: 7 }, () => '?'), INSTANT, '?'])}`,
      part.flatMap((row): Parameter[] => [
        ...[row.batch, row.window, row.connection, row.object, row.record, row.field].map(clean),
        ...[clean(row.reason), now, randomUUID()],
      ]),
    );
  }
}

const clean = (value: string): string => value.replaceAll('\0', '\ufffd');
