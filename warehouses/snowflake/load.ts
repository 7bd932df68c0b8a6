import type { LoadReceipt } from '../../schemas/batch.ts';
import {
  addTally,
  appliedBatch,
  batchValues,
  brokenFile,
  checkShaped,
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
import type { Tables } from './load-sql.ts';
import { checkNames, columnName, SYSTEM } from './names.ts';
import { lockSql, tableColumns } from './schema.ts';
import {
  asideValues,
  inspectSql,
  keyColumns,
  leftOutSql,
  rowColumns,
  stagedSql,
  withStaging,
} from './staging.ts';
import type { Staging } from './staging.ts';
import { ASIDE_COLUMNS, insertAsideSql } from './system-tables.ts';
import { placeFields } from './types.ts';

/** What was uploaded before the transaction begins, since a statement that makes a table would end it. */
interface Staged {
  rows: { tables: Tables; count: number } | undefined;
  tombstones: { tables: Tables; count: number } | undefined;
  aside: string[];
}

/** One batch in one transaction with its batch row (I2): both are there or neither. */
export async function loadBatch(session: Session, request: LoadRequest, now: string): Promise<LoadReceipt> {
  const started = performance.now();
  const table = await openTable(session, request);
  const done = (receipt: Omit<LoadReceipt, 'ms'>): LoadReceipt => ({
    ...receipt,
    ms: performance.now() - started,
  });
  if ((await readApplied(session, request)) !== undefined)
    return done(await applied(session, request, table));
  return withStaging(session, async (staging) => {
    const staged = await stage(session, staging, { request, table, now });
    return session.atomically(async () => {
      await session.run(lockSql(table.target));
      const again = await findApplied(session, request);
      if (again !== undefined) return done(again);
      const sum = noTally();
      if (staged.rows !== undefined) addTally(sum, await mergeRows(session, table, staged.rows, now));
      if (staged.tombstones !== undefined)
        addTally(
          sum,
          await mergeTombstones(session, table, staged.tombstones, { window: request.window.id, now }),
        );
      for (const lines of staged.aside) await session.run(insertAsideSql(lines));
      if (staged.rows !== undefined)
        for (const sql of statement.unreadableSql(request, rowColumns(table), staged.rows.tables.rows, now))
          await session.run(sql);
      await writeBatchRow(session, request, sum, now);
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
    const found = await findApplied(session, request);
    // Between the two questions only a retention could have removed it; the next try loads it.
    if (found === undefined)
      throw new HeadwaterError('WAREHOUSE_UNAVAILABLE', `batch ${request.batch.id} was removed meanwhile`);
    return found;
  });
}

async function readApplied(session: Session, request: LoadRequest): Promise<AppliedBatch | undefined> {
  const rows = await session.rows(
    `SELECT "BATCH", "SLICE", "ATTEMPT", "INSERTED", "UPDATED", "UNCHANGED", "STALE", "REPLACED_BY" FROM ${SYSTEM}."BATCHES" WHERE "WINDOW" = ?`,
    [request.window.id],
  );
  return appliedBatch(rows, request);
}

/** I3: a lower attempt than one seen for the window is refused. A batch that is there already is a no-op. */
export async function findApplied(
  session: Session,
  request: LoadRequest,
): Promise<Omit<LoadReceipt, 'ms'> | undefined> {
  const found = await readApplied(session, request);
  if (found === undefined) return undefined;
  const { batch, window } = request;
  if (found.back) await replaceOthers(session, request);
  if (found.claim) {
    await session.run(
      `UPDATE ${SYSTEM}."BATCHES" SET "REPLACED_BY" = NULL, "ATTEMPT" = ? WHERE "BATCH" = ? AND "WINDOW" = ?`,
      [window.attempt, batch.id, window.id],
    );
  }
  return found.receipt;
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
  now: string,
): Promise<void> {
  await replaceOthers(session, request);
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
  const staged: Staged = { rows: undefined, tombstones: undefined, aside: [] };
  if (paths.length > 0) {
    const columns = rowColumns(table);
    const [found] = await session.staged.rows(inspectSql(table.stagedKey, columns, paths));
    checkShaped(request, Number(found?.['rows']), Number(found?.['keys']));
    const careful = Number(found?.['misfits']) > 0;
    const filled = await staging.fill(columns, stagedSql(columns, paths, careful));
    if (filled.rows !== request.batch.counts.shaped)
      throw brokenFile(request, `gave ${filled.rows} rows, ${request.batch.counts.shaped} were shaped`);
    const plan = await staging.table(statement.planColumns(table));
    staged.rows = { tables: { rows: filled.table, plan }, count: filled.rows };
    if (careful) lines.push(...leftOutSql(request, table, columns, { paths, now }));
  }
  if (tombstones !== null) {
    const columns = keyColumns(table, ['_VERSION', '_CONFIRMED_AT']);
    const filled = await staging.fill(columns, stagedSql(columns, [tombstones]));
    const plan = await staging.table(statement.planColumns(table));
    staged.tombstones = { tables: { rows: filled.table, plan }, count: filled.rows };
  }
  const aside = await stageAside(session, staging, lines);
  if (aside !== undefined) staged.aside.push(aside);
  return staged;
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
  { tables, count }: { tables: Tables; count: number },
  now: string,
): Promise<Tally> {
  const columns = rowColumns(table);
  const [held] = await session.rows(`SELECT 1 AS "HELD" FROM ${table.target} LIMIT 1`);
  if (held === undefined) {
    const inserted = await session.run(statement.insertAllSql(table, columns, tables.rows, now));
    if (inserted !== count) throw overtaken(table);
    return { ...noTally(), inserted };
  }
  const tally = await plan(session, table, tables.plan, statement.planRowsSql(table, tables), count);
  if (tally.unchanged > 0) await session.run(statement.confirmSql(table, tables.plan));
  const writes = tally.inserted + tally.updated;
  if (writes === 0) return tally;
  if ((await session.run(statement.mergeSql(table, columns, tables, now))) !== writes) throw overtaken(table);
  return tally;
}

const overtaken = ({ target }: LoadTable): HeadwaterError =>
  new HeadwaterError('WAREHOUSE_UNAVAILABLE', `another program wrote into ${target} during the load`);

async function mergeTombstones(
  session: Session,
  table: LoadTable,
  { tables, count }: { tables: Tables; count: number },
  { window, now }: { window: string; now: string },
): Promise<Tally> {
  const tally = await plan(session, table, tables.plan, statement.planTombstonesSql(table, tables), count);
  if (tally.unchanged > 0) await session.run(statement.confirmSql(table, tables.plan));
  if (tally.updated > 0) await session.run(statement.markDeletedSql(table, tables.plan, window, now));
  if (tally.inserted > 0) await session.run(statement.insertTombstonesSql(table, tables.plan, window, now));
  return tally;
}

/** Decides over every staged row before any is written. */
async function plan(
  session: Session,
  { target }: LoadTable,
  table: string,
  sql: string,
  rows: number,
): Promise<Tally> {
  await session.run(sql);
  return planTally(await session.rows(statement.planCountsSql(table)), rows, target);
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
