import type { LoadReceipt } from '../../schemas/batch.ts';
import {
  addTally,
  appliedBatch,
  batchValues,
  brokenFile,
  checkShaped,
  isPartial,
  isSetAside,
  keptOutReason,
  leftOut,
  loadTable,
  noTally,
  planTally,
} from '../batch-rules.ts';
import type { AppliedBatch, LoadTable, Tally } from '../batch-rules.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { literal, quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import type { Session } from './client.ts';
import * as statement from './load-sql.ts';
import type { Writes } from './load-sql.ts';
import { checkNames, columnName, SYSTEM } from './names.ts';
import { lockSql, tableColumns } from './schema.ts';
import {
  asideValues,
  inspectSql,
  isText,
  keyColumns,
  leftOutSql,
  longColumnsSql,
  rowColumns,
  stagedSql,
  withStaging,
} from './staging.ts';
import type { Filled, StagedColumn, Staging } from './staging.ts';
import { ASIDE_COLUMNS, insertAsideSql } from './system-tables.ts';
import { placeFields } from './types.ts';

/** What was uploaded before the transaction begins, since a statement that makes a table would end it. */
interface Staged {
  rows: Filled | undefined;
  tombstones: Filled | undefined;
  aside: string | undefined;
}

/** One batch in one transaction with its batch row (I2): both are there or neither. */
export async function loadBatch(session: Session, request: LoadRequest, now: string): Promise<LoadReceipt> {
  const started = performance.now();
  const table = await openTable(session, request);
  const done = (receipt: Omit<LoadReceipt, 'ms'>): LoadReceipt => ({
    ...receipt,
    ms: performance.now() - started,
  });
  if ((await readApplied(session, request)).applied !== undefined)
    return done(await applied(session, request, table));
  return withStaging(session, async (staging) => {
    const staged = await stage(session, staging, { request, table, now });
    return session.atomically(async () => {
      await session.run(lockSql(table.target));
      const { receipt, replaces } = await findApplied(session, request);
      if (receipt !== undefined) return done(receipt);
      const sum = noTally();
      if (staged.rows !== undefined) addTally(sum, await mergeRows(session, table, staged.rows, now));
      if (staged.tombstones !== undefined)
        addTally(
          sum,
          await mergeTombstones(session, table, staged.tombstones, { window: request.window.id, now }),
        );
      if (staged.aside !== undefined) await session.run(insertAsideSql(staged.aside));
      if (staged.rows !== undefined)
        await setUnreadableAside(session, request, rowColumns(table), { rows: staged.rows.table, now });
      await writeBatchRow(session, request, sum, { now, replaces });
      return done({ batch: request.batch.id, alreadyApplied: false, ...sum });
    });
  });
}

async function applied(
  session: Session,
  request: LoadRequest,
  { target }: LoadTable,
): Promise<Omit<LoadReceipt, 'ms'>> {
  return session.atomically(async () => {
    await session.run(lockSql(target));
    const { receipt } = await findApplied(session, request);
    // Between the two questions only a retention could have removed it; the next try loads it.
    if (receipt === undefined)
      throw new HeadwaterError('WAREHOUSE_UNAVAILABLE', `batch ${request.batch.id} was removed meanwhile`);
    return receipt;
  });
}

async function readApplied(
  session: Session,
  request: LoadRequest,
): Promise<{ applied: AppliedBatch | undefined; replaces: boolean }> {
  const { batch, window } = request;
  const rows = await session.rows(
    `SELECT "BATCH", "SLICE", "ATTEMPT", "INSERTED", "UPDATED", "UNCHANGED", "STALE", "REPLACED_BY" FROM ${SYSTEM}."BATCHES" WHERE "WINDOW" = ?`,
    [window.id],
  );
  const replaces = rows.some(
    (row) => row['batch'] !== batch.id && Number(row['slice']) === batch.slice && row['replaced_by'] === null,
  );
  return { applied: appliedBatch(rows, request), replaces };
}

/**
 * I3: a lower attempt than one seen for the window is refused. A batch that is there already is a no-op. `replaces`: another batch
 * counts for its slice.
 */
export async function findApplied(
  session: Session,
  request: LoadRequest,
): Promise<{ receipt: Omit<LoadReceipt, 'ms'> | undefined; replaces: boolean }> {
  const { applied: found, replaces } = await readApplied(session, request);
  if (found === undefined) return { receipt: undefined, replaces };
  const { batch, window } = request;
  if (found.back && replaces) await replaceOthers(session, request);
  if (found.claim) {
    await session.run(
      `UPDATE ${SYSTEM}."BATCHES" SET "REPLACED_BY" = NULL, "ATTEMPT" = ? WHERE "BATCH" = ? AND "WINDOW" = ?`,
      [window.attempt, batch.id, window.id],
    );
  }
  return { receipt: found.receipt, replaces };
}

/** An older batch of the same slice counts in no receipt any more. */
async function replaceOthers(session: Session, { batch, window }: LoadRequest): Promise<void> {
  await session.run(
    `UPDATE ${SYSTEM}."BATCHES" SET "REPLACED_BY" = ? WHERE "WINDOW" = ? AND "SLICE" = ? AND "BATCH" <> ? AND "REPLACED_BY" IS NULL`,
    [batch.id, window.id, batch.slice, batch.id],
  );
}

export async function writeBatchRow(
  session: Session,
  request: LoadRequest,
  sum: Tally,
  { now, replaces }: { now: string; replaces: boolean },
): Promise<void> {
  if (replaces) await replaceOthers(session, request);
  await session.run(
    `INSERT INTO ${SYSTEM}."BATCHES" SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS TIMESTAMP_TZ), NULL`,
    batchValues(request, sum, now),
  );
}

export async function openTable(session: Session, request: LoadRequest): Promise<LoadTable> {
  const { window, schema } = request;
  checkNames(schema);
  const columns = await tableColumns(session, window.connection, schema.table);
  const target = session.target(window.connection, schema.table);
  return loadTable(target, request, columns, placeFields(schema.fields, columns));
}

interface Load {
  request: LoadRequest;
  table: LoadTable;
  now: string;
}

async function stage(session: Session, staging: Staging, load: Load): Promise<Staged> {
  const { request, table, now } = load;
  const { rows: paths, tombstones } = request.files;
  const lines = await asideSql(session, load);
  const staged: Staged = { rows: undefined, tombstones: undefined, aside: undefined };
  if (paths.length > 0) {
    const columns = rowColumns(table);
    const careful = await inspect(session, request, table, columns);
    staged.rows = await staging.fill(columns, stagedSql(columns, paths, careful));
    if (staged.rows.rows !== request.batch.counts.shaped)
      throw brokenFile(request, `gave ${staged.rows.rows} rows, ${request.batch.counts.shaped} were shaped`);
    if (careful) lines.push(...leftOutSql(request, table, columns, { paths, now }));
  }
  if (tombstones !== null) {
    const columns = keyColumns(table, ['_VERSION', '_CONFIRMED_AT']);
    staged.tombstones = await staging.fill(columns, stagedSql(columns, [tombstones]));
  }
  staged.aside = await stageAside(session, staging, lines);
  return staged;
}

/** The staged rows are those that were shaped. True where a value is among them that its column does not take. */
export async function inspect(
  session: Session,
  request: LoadRequest,
  table: LoadTable,
  columns: readonly StagedColumn[],
): Promise<boolean> {
  const { rows: paths } = request.files;
  const long = new Set((await session.staged.rows(longColumnsSql(paths))).map((row) => String(row['name'])));
  const suspects = columns.filter(
    ({ staged, columnType }) => !isText(columnType) || (staged !== undefined && long.has(staged)),
  );
  const [found] = await session.staged.rows(inspectSql(table.stagedKey, suspects, paths));
  if (!isPartial(request)) checkShaped(request, Number(found?.['rows']), Number(found?.['keys']));
  return Number(found?.['misfits']) > 0;
}

/** Nothing is uploaded where no line is to be set aside. */
export async function stageAside(
  session: Session,
  staging: Staging,
  lines: readonly string[],
): Promise<string | undefined> {
  if (lines.length === 0) return undefined;
  const all = lines.map((line) => `(${line})`).join(' UNION ALL ');
  const [found] = await session.staged.rows(`SELECT count(*) AS rows FROM (${all})`);
  return Number(found?.['rows']) === 0 ? undefined : (await staging.fill(ASIDE_COLUMNS, all)).table;
}

export async function setUnreadableAside(
  session: Session,
  request: LoadRequest,
  columns: readonly StagedColumn[],
  { rows, now }: { rows: string; now: string },
): Promise<void> {
  const sql = statement.unreadableSql(request, columns, rows, now);
  if (sql !== undefined) await session.run(sql);
}

/** What the shaper set aside. For DuckDB. */
export function quarantineSql(request: LoadRequest, path: string, now: string): string {
  const line = {
    ...{ record: 'record', field: 'field', value: 'value', raw: 'raw', now },
    reason: "coalesce(reason, 'unknown')",
  };
  return `SELECT ${asideValues(request, line)} FROM read_parquet(${literal(path)})`;
}

async function asideSql(session: Session, { request, table, now }: Load): Promise<string[]> {
  const { window, schema, files } = request;
  const lines = files.quarantine === null ? [] : [quarantineSql(request, files.quarantine, now)];
  if (files.rows.length === 0) return lines;
  for (const place of leftOut(table.places)) {
    const { field } = place;
    const [last] = await session.rows(
      `SELECT "POLICY" FROM ${SYSTEM}."SCHEMA_CHANGES" WHERE "CONNECTION" = ? AND "TABLE" = ? AND "COLUMN" = ? ORDER BY "CHANGED_AT" DESC LIMIT 1`,
      [window.connection, schema.table, columnName(field.column)],
    );
    if (!isSetAside(place, last?.['policy'], table.target)) continue;
    const value = quote(field.column);
    const line = {
      ...{ record: table.stagedKey, field: literal(field.name), value, raw: 'NULL', now },
      reason: literal(keptOutReason(schema.table)),
    };
    const paths = files.rows.map(literal).join(', ');
    lines.push(
      `SELECT ${asideValues(request, line)} FROM read_parquet([${paths}]) WHERE ${value} IS NOT NULL`,
    );
  }
  return lines;
}

async function mergeRows(
  session: Session,
  table: LoadTable,
  { table: rows, rows: count }: Filled,
  now: string,
): Promise<Tally> {
  const columns = rowColumns(table);
  const { tally, writes } = await plan(session, table, statement.planRowsSql(table, rows), count);
  if (tally.inserted === count && (await isEmpty(session, table))) {
    if ((await session.run(statement.insertAllSql(table, columns, rows, now))) !== count)
      throw overtaken(table);
    return tally;
  }
  await write(session, table, writes, statement.mergeSql(table, columns, rows, { ...writes, now }));
  return tally;
}

async function mergeTombstones(
  session: Session,
  table: LoadTable,
  { table: rows, rows: count }: Filled,
  about: { window: string; now: string },
): Promise<Tally> {
  const { tally, writes } = await plan(session, table, statement.planTombstonesSql(table, rows), count);
  await write(session, table, writes, statement.mergeTombstonesSql(table, rows, { ...writes, ...about }));
  return tally;
}

async function isEmpty(session: Session, { target }: LoadTable): Promise<boolean> {
  return (await session.rows(`SELECT 1 AS "HELD" FROM ${target} LIMIT 1`)).length === 0;
}

async function write(session: Session, table: LoadTable, writes: Writes, sql: string): Promise<void> {
  const rows = writes.inserted + writes.updated + writes.confirmed;
  if (rows > 0 && (await session.run(sql)) !== rows) throw overtaken(table);
}

const overtaken = ({ target }: LoadTable): HeadwaterError =>
  new HeadwaterError('WAREHOUSE_UNAVAILABLE', `another program wrote into ${target} during the load`);

/** Decides over every staged row before any is written. */
async function plan(
  session: Session,
  { target }: LoadTable,
  sql: string,
  rows: number,
): Promise<{ tally: Tally; writes: Writes }> {
  const counted = await session.rows(sql);
  const confirmed = Number(counted.find((row) => row['action'] === 'confirm')?.['rows'] ?? 0);
  const tally = planTally(counted, rows - confirmed, target);
  const writes = { inserted: tally.inserted, updated: tally.updated, confirmed };
  return { tally: { ...tally, unchanged: tally.unchanged + confirmed }, writes };
}

export async function verifyBatch(
  session: Session,
  request: LoadRequest,
): Promise<{ present: number; missing: number }> {
  const table = await openTable(session, request);
  const { rows, tombstones } = request.files;
  return withStaging(session, async (staging) => {
    const sum = { present: 0, missing: 0 };
    for (const paths of [rows, tombstones === null ? [] : [tombstones]]) {
      if (paths.length === 0) continue;
      const columns = keyColumns(table, ['_VERSION']);
      const filled = await staging.fill(columns, stagedSql(columns, paths));
      const [counted] = await session.rows(statement.verifySql(table, filled.table));
      sum.present += Number(counted?.['present'] ?? 0);
      sum.missing += Number(counted?.['missing'] ?? 0);
    }
    return sum;
  });
}
