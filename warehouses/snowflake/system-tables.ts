import { randomUUID } from 'node:crypto';
import type { RunSummary } from '../../schemas/run.ts';
import type { SinkState } from '../../schemas/sink.ts';
import { freshIntervals, intervalRow, recordNews, sinkStateOf } from '../fact-rows.ts';
import type { IntervalRow, QuarantinedRow, SchemaChange } from '../warehouse.ts';
import type { Parameter, Session } from './client.ts';
import { SYSTEM, text } from './names.ts';

/**
 * What Headwater itself keeps in the warehouse. JSON stays text, since a variant keeps neither order nor digits. The epoch is
 * made with its table: a warehouse that was dropped and made anew has another, and two processes make one.
 */
export const systemDdl = (epoch: string): string[] => [
  `CREATE SCHEMA IF NOT EXISTS ${SYSTEM}`,
  `CREATE TABLE IF NOT EXISTS ${SYSTEM}."SINK" AS SELECT ${text(epoch)} AS "EPOCH", 0::NUMBER(19,0) AS "SEQ"`,
  `CREATE TABLE IF NOT EXISTS ${SYSTEM}."INTERVALS" (
  "SEQ" NUMBER(19,0) NOT NULL, "WINDOW" TEXT NOT NULL, "CONNECTION" TEXT NOT NULL, "OBJECT" TEXT NOT NULL,
  "FROM" TEXT NOT NULL, "UNTIL" TEXT NOT NULL, "ATTEMPT" NUMBER(10,0) NOT NULL, "BATCHES" TEXT NOT NULL,
  "RECEIPT" TEXT NOT NULL, "COMMITTED_AT" TIMESTAMP_TZ NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS ${SYSTEM}."BATCHES" (
  "BATCH" TEXT NOT NULL, "WINDOW" TEXT NOT NULL, "SLICE" NUMBER(10,0) NOT NULL, "ATTEMPT" NUMBER(10,0) NOT NULL,
  "CONNECTION" TEXT NOT NULL, "OBJECT" TEXT NOT NULL, "TABLE" TEXT NOT NULL, "INSERTED" NUMBER(19,0) NOT NULL,
  "UPDATED" NUMBER(19,0) NOT NULL, "UNCHANGED" NUMBER(19,0) NOT NULL, "STALE" NUMBER(19,0) NOT NULL,
  "COUNTS" TEXT NOT NULL, "LOADED_AT" TIMESTAMP_TZ NOT NULL, "REPLACED_BY" TEXT)`,
  `CREATE TABLE IF NOT EXISTS ${SYSTEM}."RUNS" (
  "CONNECTION" TEXT NOT NULL, "WORKFLOW_ID" TEXT NOT NULL, "RUN_ID" TEXT NOT NULL, "TRIGGER" TEXT NOT NULL,
  "OUTCOME" TEXT NOT NULL, "STARTED_AT" TEXT NOT NULL, "ENDED_AT" TEXT, "IDLE" NUMBER(10,0) NOT NULL, "OBJECTS" TEXT NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS ${SYSTEM}."QUARANTINE" (
  "BATCH" TEXT NOT NULL, "WINDOW" TEXT NOT NULL, "CONNECTION" TEXT NOT NULL, "OBJECT" TEXT NOT NULL,
  "RECORD" TEXT, "FIELD" TEXT, "VALUE" TEXT, "REASON" TEXT NOT NULL, "RAW" TEXT, "QUARANTINED_AT" TIMESTAMP_TZ NOT NULL,
  "ID" TEXT NOT NULL, "RESOLVED_AT" TIMESTAMP_TZ)`,
  `CREATE TABLE IF NOT EXISTS ${SYSTEM}."SCHEMA_CHANGES" (
  "CHANGED_AT" TIMESTAMP_TZ NOT NULL, "CONNECTION" TEXT NOT NULL, "TABLE" TEXT NOT NULL, "COLUMN" TEXT, "CHANGE" TEXT NOT NULL,
  "BEFORE" TEXT, "AFTER" TEXT, "ACTION" TEXT NOT NULL, "POLICY" TEXT NOT NULL, "ID" TEXT NOT NULL)`,
];

/** Columns that a load gives the quarantine, in this order; all of them are texts but the time. */
export const ASIDE_COLUMNS: readonly { name: string; type: string }[] = [
  ...['BATCH', 'WINDOW', 'CONNECTION', 'OBJECT', 'RECORD', 'FIELD', 'VALUE', 'REASON', 'RAW'].map((name) => ({
    ...{ name, type: 'TEXT' },
  })),
  { name: 'QUARANTINED_AT', type: 'TIMESTAMP_TZ' },
  { name: 'ID', type: 'TEXT' },
];

export const ASIDE = ASIDE_COLUMNS.map(({ name }) => `"${name}"`).join(', ');

/** From a staging table of these columns. */
export const insertAsideSql = (table: string): string =>
  `INSERT INTO ${SYSTEM}."QUARANTINE" (${ASIDE}) SELECT ${ASIDE} FROM ${table}`;

export async function createSystemTables(session: Session): Promise<void> {
  for (const statement of systemDdl(randomUUID())) await session.run(statement);
}

/** Members of a JSON list of texts; a list of any length is one value of the statement. */
export const LISTED = '(SELECT f.value::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS f)';

export async function readSinkState(session: Session): Promise<SinkState> {
  const [row] = await session.rows(`SELECT "EPOCH", "SEQ" FROM ${SYSTEM}."SINK"`);
  return sinkStateOf(row);
}

/** Rows of a VALUES list at most: the text of a statement is limited to 1 MB. */
const INTERVALS_AT_ONCE = 100;
const INTERVAL_COLUMNS =
  '"SEQ", "WINDOW", "CONNECTION", "OBJECT", "FROM", "UNTIL", "ATTEMPT", "BATCHES", "RECEIPT", "COMMITTED_AT"';

const INTERVAL_VALUES = 'SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TIMESTAMP_TZ)';

export const insertIntervalsSql = (rows: number): string =>
  `INSERT INTO ${SYSTEM}."INTERVALS" (${INTERVAL_COLUMNS})\n${INTERVAL_VALUES}${`\nUNION ALL ${INTERVAL_VALUES}`.repeat(rows - 1)}`;

/** I3: a window that has its row is a no-op, and an attempt lower than one seen for its window is refused. */
export function writeIntervals(session: Session, rows: IntervalRow[], now: string): Promise<SinkState> {
  if (rows.length === 0) return readSinkState(session);
  return session.atomically(async () => {
    // The row of the sink is the lock: `seq` rises by one writer at a time.
    await session.run(`UPDATE ${SYSTEM}."SINK" SET "SEQ" = "SEQ" + 0`);
    const state = await readSinkState(session);
    const windows = JSON.stringify(rows.map((row) => row.window));
    const known = await session.rows(
      `SELECT "WINDOW" FROM ${SYSTEM}."INTERVALS" WHERE "WINDOW" IN ${LISTED}`,
      [windows],
    );
    const seen = await session.rows(
      `SELECT "WINDOW", max("ATTEMPT") AS "ATTEMPT" FROM ${SYSTEM}."BATCHES" WHERE "WINDOW" IN ${LISTED} GROUP BY "WINDOW"`,
      [windows],
    );
    const fresh = freshIntervals(rows, known, seen);
    for (let at = 0; at < fresh.length; at += INTERVALS_AT_ONCE) {
      const part = fresh.slice(at, at + INTERVALS_AT_ONCE);
      const values = part.flatMap((row, n): Parameter[] => [
        ...[state.seq + at + n + 1, row.window, row.connection, row.object, row.from, row.until, row.attempt],
        ...[JSON.stringify(row.batches), JSON.stringify(row.receipt), now],
      ]);
      await session.run(insertIntervalsSql(part.length), values);
    }
    const seq = state.seq + fresh.length;
    if (fresh.length > 0) await session.run(`UPDATE ${SYSTEM}."SINK" SET "SEQ" = ?`, [seq]);
    return { epoch: state.epoch, seq };
  });
}

export async function readIntervals(
  session: Session,
  afterSeq: number,
): Promise<(IntervalRow & { seq: number })[]> {
  const rows = await session.rows(
    `SELECT ${INTERVAL_COLUMNS} FROM ${SYSTEM}."INTERVALS" WHERE "SEQ" > ? ORDER BY "SEQ"`,
    [afterSeq],
  );
  return rows.map(intervalRow);
}

/** A run has one row: the summary at its end takes the place of the one at its beginning. */
export function writeRun(session: Session, run: RunSummary): Promise<void> {
  const { connection, workflowId, runId, trigger, outcome, startedAt, endedAt, idle, objects } = run;
  return session.atomically(async () => {
    await session.run(`DELETE FROM ${SYSTEM}."RUNS" WHERE "WORKFLOW_ID" = ? AND "RUN_ID" = ?`, [
      workflowId,
      runId,
    ]);
    await session.run(`INSERT INTO ${SYSTEM}."RUNS" SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?`, [
      ...[connection, workflowId, runId, trigger, outcome, startedAt, endedAt, idle, JSON.stringify(objects)],
    ]);
  });
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
        `SELECT 1 AS "KNOWN" FROM ${SYSTEM}."SCHEMA_CHANGES" WHERE "CONNECTION" = ? AND "TABLE" = ? AND "COLUMN" IS NOT DISTINCT FROM ? ` +
          'AND "CHANGE" = ? AND "AFTER" IS NOT DISTINCT FROM ? AND "ACTION" = ? AND "POLICY" = ? LIMIT 1',
        [name, table, column, change, after, action, policy],
      );
      return known.length > 0;
    },
    insert: ({ table, column, change, before, after, action, policy }) =>
      session.run(
        `INSERT INTO ${SYSTEM}."SCHEMA_CHANGES" SELECT CAST(? AS TIMESTAMP_TZ), ?, ?, ?, ?, ?, ?, ?, ?, ?`,
        [...[now, name, table, column, change, before, after, action, policy, randomUUID()]],
      ),
  });

/** One line of `rows` each; those of a batch, record and field that are there already are passed over. */
export function setAsideRows(session: Session, rows: readonly QuarantinedRow[], now: string): Promise<void> {
  const identity = (batch: unknown, record: unknown, field: unknown): string =>
    JSON.stringify([batch, record, field]);
  return session.atomically(async () => {
    const batches = JSON.stringify([...new Set(rows.map((row) => row.batch))]);
    const found = await session.rows(
      `SELECT "BATCH", "RECORD", "FIELD" FROM ${SYSTEM}."QUARANTINE" WHERE "BATCH" IN ${LISTED} AND "RECORD" IS NOT NULL`,
      [batches],
    );
    const known = new Set(found.map((row) => identity(row['batch'], row['record'], row['field'])));
    const fresh = rows.filter((row) => !known.has(identity(row.batch, row.record, row.field)));
    for (let at = 0; at < fresh.length; at += INTERVALS_AT_ONCE) {
      const part = fresh.slice(at, at + INTERVALS_AT_ONCE);
      const line = 'SELECT ?, ?, ?, ?, ?, ?, NULL, ?, NULL, CAST(? AS TIMESTAMP_TZ), ?';
      await session.run(
        `INSERT INTO ${SYSTEM}."QUARANTINE" (${ASIDE})\n${line}${`\nUNION ALL ${line}`.repeat(part.length - 1)}`,
        part.flatMap((row) => [
          ...[row.batch, row.window, row.connection, row.object, row.record, row.field, row.reason],
          ...[now, randomUUID()],
        ]),
      );
    }
  });
}
