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
import type { LoadTable, Tally } from '../batch-rules.ts';
import { QUARANTINE_COLUMNS } from '../fact-rows.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { literal, quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import type { Session } from './client.ts';
import { isMisfit, isRepeated } from './errors.ts';
import * as statement from './load-sql.ts';
import { GONE, ROWS } from './load-sql.ts';
import { checkNames, columnName } from './names.ts';
import { keyIndexes, keyIndexSql, tableColumns } from './schema.ts';
import { asideValues, selectOf, stageRows } from './staging.ts';
import { placeFields } from './types.ts';

/** From so many rows on, an empty table takes them straight, and its key is indexed afterwards. */
const DIRECT_ROWS_MIN = 10_000;
const QUARANTINE = `_headwater.quarantine ${QUARANTINE_COLUMNS}`;

interface Load {
  session: Session;
  request: LoadRequest;
  table: LoadTable;
  now: string;
}

/** One batch in one transaction with its batch row (I2): both are there or neither. */
export async function loadBatch(session: Session, request: LoadRequest, now: string): Promise<LoadReceipt> {
  const started = performance.now();
  await lockTable(session, { connection: request.window.connection, table: request.schema.table });
  const applied = await findApplied(session, request);
  if (applied !== undefined) return { ...applied, ms: performance.now() - started };
  const table = await openTable(session, request);
  const load: Load = { session, request, table, now };
  const sum = noTally();
  const { rows, tombstones, quarantine } = request.files;
  if (rows.length > 0) addTally(sum, await loadRows(load, rows));
  if (tombstones !== null) addTally(sum, await loadTombstones(load, tombstones));
  if (quarantine !== null) await copyQuarantine(session, request, quarantine, now);
  await writeBatchRow(session, request, sum, now);
  return { batch: request.batch.id, alreadyApplied: false, ...sum, ms: performance.now() - started };
}

/**
 * Loads of one table follow each other, in however many processes. An advisory lock, since a lock of the table itself would keep
 * autovacuum from ever finishing where batches come every few seconds.
 */
export async function lockTable(
  session: Session,
  { connection, table }: { connection: string; table: string },
): Promise<void> {
  await session.rows('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
    `headwater ${session.target(connection, table)}`,
  ]);
}

/** I3: a lower attempt than one seen for the window is refused. A batch that is there already is a no-op. */
export async function findApplied(
  session: Session,
  request: LoadRequest,
): Promise<Omit<LoadReceipt, 'ms'> | undefined> {
  const { batch, window } = request;
  const rows = await session.rows(
    'SELECT batch, slice, attempt, inserted, updated, unchanged, stale, replaced_by FROM _headwater.batches WHERE "window" = $1',
    [window.id],
  );
  const applied = appliedBatch(rows, request);
  if (applied === undefined) return undefined;
  if (applied.back) await replaceOthers(session, batch.id, window.id, batch.slice);
  if (applied.claim) {
    await session.run(
      'UPDATE _headwater.batches SET replaced_by = NULL, attempt = greatest(attempt, $1::integer) WHERE batch = $2 AND "window" = $3',
      [window.attempt, batch.id, window.id],
    );
  }
  return applied.receipt;
}

/** An older batch of the same slice counts in no receipt any more. */
async function replaceOthers(session: Session, batch: string, window: string, slice: number): Promise<void> {
  await session.run(
    'UPDATE _headwater.batches SET replaced_by = $1 WHERE "window" = $2 AND slice = $3 AND batch <> $1 AND replaced_by IS NULL',
    [batch, window, slice],
  );
}

export async function writeBatchRow(
  session: Session,
  request: LoadRequest,
  sum: Tally,
  now: string,
): Promise<void> {
  const { batch, window } = request;
  await replaceOthers(session, batch.id, window.id, batch.slice);
  await session.run(
    'INSERT INTO _headwater.batches VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::json, NULL, $13::timestamptz)',
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

async function loadRows(load: Load, paths: readonly string[]): Promise<Tally> {
  const { session, request, table, now } = load;
  const [found] = await session.staged.rows(statement.inspectSql(table.stagedKey, paths));
  const rows = Number(found?.['rows']);
  checkShaped(request, rows, Number(found?.['keys']));
  await setAsideLeftOut(load, paths);
  const [held] = await session.rows(`SELECT 1 FROM ${table.target} LIMIT 1`);
  if (held === undefined && rows >= DIRECT_ROWS_MIN && (await copyDirect(load, paths)))
    return { inserted: rows, updated: 0, unchanged: 0, stale: 0 };
  const aside = { request, key: table.keyName, now };
  const copied = await stageRows(session, ROWS, statement.stagedColumns(table), paths, aside);
  if (copied !== rows) throw brokenFile(request, `gave ${copied} rows, ${rows} were shaped`);
  return merge(load, rows, held === undefined);
}

/**
 * Into a table that holds nothing: no staging, and the index over the key is made of sorted keys at the end, which proves that no
 * key is there twice. Whoever reads the empty table meanwhile waits. False, and nothing is changed, where a value does not fit.
 */
async function copyDirect(
  { session, table, request, now }: Load,
  paths: readonly string[],
): Promise<boolean> {
  const columns = [
    ...statement.stagedColumns(table),
    { name: '_loaded_at', type: 'timestamp with time zone', value: literal(now) },
  ];
  await session.run('SAVEPOINT direct');
  try {
    for (const index of await keyIndexes(session, table.target, table.key))
      await session.run(`DROP INDEX ${index}`);
    const into = `${table.target} (${columns.map(({ name }) => quote(name)).join(', ')})`;
    const copied = await session.copyIn(into, session.staged.csv(paths, selectOf(columns)));
    if (copied !== request.batch.counts.shaped) throw brokenFile(request, `gave ${copied} rows`);
    await session.run(keyIndexSql(table.target, table.key));
    await session.run('RELEASE SAVEPOINT direct');
    return true;
  } catch (error) {
    if (isRepeated(error)) throw brokenFile(request, 'holds a key more than once');
    if (!isMisfit(error)) throw error;
    await session.run('ROLLBACK TO SAVEPOINT direct');
    return false;
  }
}

async function merge({ session, table, now }: Load, rows: number, empty: boolean): Promise<Tally> {
  const tally = empty
    ? { inserted: rows, updated: 0, unchanged: 0, stale: 0 }
    : await plan(session, table, statement.planRowsSql(table), rows);
  const writes = tally.inserted + tally.updated;
  try {
    if (tally.unchanged > 0) await session.run(statement.confirmSql(table));
    const written =
      writes === 0
        ? 0
        : await session.run(
            tally.inserted === rows ? statement.insertAllSql(table, now) : statement.mergeSql(table, now),
          );
    if (written !== writes) throw overtaken(table);
  } catch (error) {
    if (isRepeated(error)) throw overtaken(table);
    throw error;
  }
  await session.run(`DROP TABLE ${ROWS}`);
  if (!empty) await session.run(statement.DROP_PLAN);
  return tally;
}

const overtaken = ({ target }: LoadTable): HeadwaterError =>
  new HeadwaterError('WAREHOUSE_UNAVAILABLE', `another program wrote into ${target} during the load`);

async function loadTombstones(load: Load, path: string): Promise<Tally> {
  const { session, request, table, now } = load;
  const columns = statement.keyColumns(table, ['_version', '_confirmed_at']);
  const rows = await stageRows(session, GONE, columns, [path]);
  const tally = await plan(session, table, statement.planTombstonesSql(table), rows);
  if (tally.unchanged > 0) await session.run(statement.confirmSql(table));
  if (tally.updated > 0) await session.run(statement.markDeletedSql(table, request.window.id, now));
  if (tally.inserted > 0) await session.run(statement.insertTombstonesSql(table, request.window.id, now));
  await session.run(`DROP TABLE ${GONE}`);
  await session.run(statement.DROP_PLAN);
  return tally;
}

/** Decides over every staged row before any is written. A key that the table holds twice would count twice: refused. */
async function plan(session: Session, table: LoadTable, sql: string, rows: number): Promise<Tally> {
  if ((await keyIndexes(session, table.target, table.key)).length === 0)
    await session.run(keyIndexSql(table.target, table.key));
  await session.run(sql);
  return planTally(await session.rows(statement.PLAN_COUNTS), rows, table.target);
}

export async function copyQuarantine(
  session: Session,
  request: LoadRequest,
  path: string,
  now: string,
): Promise<void> {
  const line = {
    record: 'record',
    field: 'field',
    value: 'value',
    reason: "coalesce(reason, 'unknown')",
    raw: 'raw',
  };
  await session.copyIn(QUARANTINE, session.staged.csv([path], asideValues(request, { ...line, now })));
}

/** Fields without a column that takes them: under the policy `quarantine` their values are set aside, never dropped unseen. */
async function setAsideLeftOut(
  { session, request, table, now }: Load,
  paths: readonly string[],
): Promise<void> {
  const { window, schema } = request;
  for (const place of leftOut(table.places)) {
    const { field } = place;
    const [last] = await session.rows(
      'SELECT policy FROM _headwater.schema_changes WHERE connection = $1 AND "table" = $2 AND "column" = $3 ORDER BY changed_at DESC LIMIT 1',
      [window.connection, schema.table, columnName(field.column)],
    );
    if (!isSetAside(place, last?.['policy'], table.target)) continue;
    const value = quote(field.column);
    const line = {
      ...{ record: table.stagedKey, field: literal(field.name), value, raw: 'NULL', now },
      reason: literal(keptOutReason(schema.table)),
    };
    const list = paths.map(literal).join(', ');
    const rows = `SELECT ${asideValues(request, line)} FROM read_parquet([${list}]) WHERE ${value} IS NOT NULL`;
    await session.copyIn(QUARANTINE, session.staged.csvOf(rows));
  }
}

export async function verifyBatch(
  session: Session,
  request: LoadRequest,
): Promise<{ present: number; missing: number }> {
  const table = await openTable(session, request);
  const sum = { present: 0, missing: 0 };
  const { rows, tombstones } = request.files;
  for (const paths of [rows, tombstones === null ? [] : [tombstones]]) {
    if (paths.length === 0) continue;
    await stageRows(session, ROWS, statement.keyColumns(table, ['_version']), paths);
    const [counted] = await session.rows(statement.verifySql(table));
    sum.present += Number(counted?.['present'] ?? 0);
    sum.missing += Number(counted?.['missing'] ?? 0);
    await session.run(`DROP TABLE ${ROWS}`);
  }
  return sum;
}
