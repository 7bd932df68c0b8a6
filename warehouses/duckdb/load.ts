import type { DuckDBConnection } from '@duckdb/node-api';
import type { LoadReceipt } from '../../schemas/batch.ts';
import {
  addTally,
  appliedBatch,
  batchValues,
  checkShaped,
  isSetAside,
  leftOut,
  loadTable,
  noTally,
  planTally,
} from '../batch-rules.ts';
import type { LoadTable, Tally } from '../batch-rules.ts';
import { checkIdentifiers } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import { rowsOf } from './client.ts';
import * as statement from './load-sql.ts';
import type { StagedPaths } from './load-sql.ts';
import { tableColumns } from './schema.ts';
import { placeFields } from './types.ts';

/**
 * One batch in one transaction with its batch row (I2): both are there or neither. A slice has about a million rows at most,
 * which keeps the transaction well under ten seconds; the caller cuts larger objects into more slices.
 */
export async function loadBatch(
  connection: DuckDBConnection,
  request: LoadRequest,
  now: string,
): Promise<LoadReceipt> {
  const started = performance.now();
  const applied = await findApplied(connection, request);
  if (applied !== undefined) return { ...applied, ms: performance.now() - started };
  const table = await openTable(connection, request);
  const load: Load = { connection, request, table, now };
  const sum = noTally();
  const { rows, tombstones, quarantine } = request.files;
  if (rows.length > 0) addTally(sum, await loadRows(load, rows));
  if (tombstones !== null) addTally(sum, await loadTombstones(load, tombstones));
  if (quarantine !== null) await connection.run(statement.quarantineSql(quarantine), about(request, now));
  await writeBatchRow(connection, request, sum, now);
  return { batch: request.batch.id, alreadyApplied: false, ...sum, ms: performance.now() - started };
}

interface Load {
  connection: DuckDBConnection;
  request: LoadRequest;
  table: LoadTable;
  now: string;
}

const about = ({ batch, window }: LoadRequest, now: string): string[] => [
  now,
  batch.id,
  window.id,
  window.connection,
  window.object,
];

/** I3: a lower attempt than one seen for the window is refused. A batch that is there already is a no-op. */
export async function findApplied(
  connection: DuckDBConnection,
  request: LoadRequest,
): Promise<Omit<LoadReceipt, 'ms'> | undefined> {
  const { batch, window } = request;
  const rows = await rowsOf(
    connection,
    'SELECT batch,slice,attempt,inserted,updated,unchanged,stale,replaced_by FROM _headwater.batches WHERE "window"=$1',
    [window.id],
  );
  const applied = appliedBatch(rows, request);
  if (applied === undefined) return undefined;
  if (applied.back) await replaceOthers(connection, batch.id, window.id, batch.slice);
  if (applied.claim) {
    await connection.run(
      'UPDATE _headwater.batches SET replaced_by=NULL,attempt=greatest(attempt,$1::INTEGER) WHERE batch=$2 AND "window"=$3',
      [...[window.attempt, batch.id, window.id]],
    );
  }
  return applied.receipt;
}

/** An older batch of the same slice counts in no receipt any more. */
async function replaceOthers(
  connection: DuckDBConnection,
  batch: string,
  window: string,
  slice: number,
): Promise<void> {
  await connection.run(
    'UPDATE _headwater.batches SET replaced_by=$1 WHERE "window"=$2 AND slice=$3::INTEGER AND batch<>$1 AND replaced_by IS NULL',
    [batch, window, slice],
  );
}

export async function writeBatchRow(
  connection: DuckDBConnection,
  request: LoadRequest,
  sum: Tally,
  now: string,
): Promise<void> {
  const { batch, window } = request;
  await replaceOthers(connection, batch.id, window.id, batch.slice);
  await connection.run(
    'INSERT INTO _headwater.batches VALUES ($1,$2,$3::INTEGER,$4::INTEGER,$5,$6,$7,$8::BIGINT,$9::BIGINT,$10::BIGINT,$11::BIGINT,$12::JSON,NULL,$13::TIMESTAMPTZ)',
    batchValues(request, sum, now),
  );
}

export async function openTable(connection: DuckDBConnection, request: LoadRequest): Promise<LoadTable> {
  const { window, schema } = request;
  checkIdentifiers(schema);
  const columns = await tableColumns(connection, window.connection, schema.table);
  const target = statement.targetOf(window.connection, schema);
  return loadTable(target, request, columns, placeFields(schema.fields, columns));
}

async function numbers(connection: DuckDBConnection, sql: string): Promise<number[]> {
  return ((await connection.runAndReadAll(sql)).getRows()[0] ?? []).map(Number);
}

async function loadRows(load: Load, path: StagedPaths): Promise<Tally> {
  const { connection, table, now } = load;
  const [rows = 0, keys = 0] = await numbers(connection, statement.inspectSql(table.stagedKey, path));
  checkShaped(load.request, rows, keys);
  await setAside(load, path);
  const [held] = await numbers(connection, `SELECT count(*) FROM ${table.target}`);
  const tally =
    held === 0
      ? { inserted: rows, updated: 0, unchanged: 0, stale: 0 }
      : await plan(load, statement.planRowsSql(table, path), rows);
  if (tally.unchanged > 0) await connection.run(statement.confirmSql(table.target));
  const keep = tally.updated > 0 ? statement.keepSql(table) : null;
  if (keep !== null) await connection.run(keep);
  if (tally.updated > 0) await connection.run(statement.deleteSql(table.target));
  if (tally.inserted === rows) await connection.run(statement.insertAllSql(table, path, now));
  else if (tally.inserted + tally.updated > 0)
    await connection.run(statement.insertPlannedSql(table, path, now, keep !== null));
  return tally;
}

async function loadTombstones(load: Load, path: string): Promise<Tally> {
  const { connection, request, table, now } = load;
  const [rows = 0] = await numbers(connection, statement.inspectSql(table.stagedKey, path));
  const tally = await plan(load, statement.planTombstonesSql(table, path), rows);
  if (tally.unchanged > 0) await connection.run(statement.confirmSql(table.target));
  if (tally.updated > 0) await connection.run(statement.markDeletedSql(table.target, request.window.id, now));
  if (tally.inserted > 0) await connection.run(statement.insertTombstonesSql(table, request.window.id, now));
  return tally;
}

/** Decides over every staged row before any is written. A key that the table holds twice would count twice: refused. */
async function plan({ connection, table }: Load, sql: string, rows: number): Promise<Tally> {
  await connection.run(sql);
  return planTally(await rowsOf(connection, statement.PLAN_COUNTS), rows, table.target);
}

/** Fields without a column that takes them: under the policy `quarantine` their values are set aside, never dropped unseen. */
async function setAside({ connection, request, table, now }: Load, path: StagedPaths): Promise<void> {
  for (const place of leftOut(table.places)) {
    const [last] = await rowsOf(
      connection,
      'SELECT policy FROM _headwater.schema_changes WHERE connection=$1 AND "table"=$2 AND "column"=$3 ORDER BY changed_at DESC LIMIT 1',
      [request.window.connection, request.schema.table, place.field.column],
    );
    if (!isSetAside(place, last?.['policy'], table.target)) continue;
    await connection.run(
      statement.setAsideSql(place, request.schema.table, table.stagedKey, path),
      about(request, now),
    );
  }
}

export async function verifyBatch(
  connection: DuckDBConnection,
  request: LoadRequest,
): Promise<{ present: number; missing: number }> {
  const table = await openTable(connection, request);
  const sum = { present: 0, missing: 0 };
  const { rows, tombstones } = request.files;
  for (const path of [rows, tombstones]) {
    if (path === null || path.length === 0) continue;
    const [present = 0, missing = 0] = await numbers(connection, statement.verifySql(table, path));
    sum.present += present;
    sum.missing += missing;
  }
  return sum;
}
