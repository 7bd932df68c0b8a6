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
import type { Tally } from '../batch-rules.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { literal, quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import type { Client, Options, Session } from './client.ts';
import * as statement from './load-sql.ts';
import { ASIDE, GONE, KEPT, PLAN, ROWS } from './load-sql.ts';
import type { Target } from './load-sql.ts';
import { checkNames, columnName, tableName } from './names.ts';
import { distributedBy, tableColumns } from './schema.ts';
import {
  ASIDE_COLUMNS,
  asideValues,
  dropSql,
  fill,
  insertAsideSql,
  inspectSql,
  keyColumns,
  leftOutSql,
  rowColumns,
  stagedSql,
  withoutDoubt,
  withUploads,
} from './staging.ts';
import type { Put, StagedColumn, Upload } from './staging.ts';
import { valuesSql } from './system-tables.ts';
import { placeFields } from './types.ts';

/** What lies in the bucket before the transaction begins: whoever writes waits for no upload of another. */
interface Sent {
  rows: Upload | undefined;
  tombstones: Upload | undefined;
  aside: Upload | undefined;
}

const labelOf = ({ window, batch }: LoadRequest): string =>
  `headwater ${window.id} ${batch.id} ${window.owner.workflowId} ${window.owner.runId}`;

/** One batch in one transaction with its batch row (I2): both are there or neither. */
export async function loadBatch(
  client: Client,
  request: LoadRequest,
  now: string,
  signal: AbortSignal,
): Promise<LoadReceipt> {
  const started = performance.now();
  const done = (receipt: Omit<LoadReceipt, 'ms'>): LoadReceipt => ({
    ...receipt,
    ms: performance.now() - started,
  });
  const what = `loading batch ${request.batch.id}`;
  const options: Options = { signal, label: labelOf(request) };
  const before = await client.read(what, async (session) => {
    const isApplied = (await readApplied(session, request)) !== undefined;
    const table = await openTable(session, request);
    return { table, isApplied, setAside: await setAsidePlaces(session, request, table) };
  });
  if (before.isApplied) {
    const applied = await client.write(what, (session) => findApplied(session, request), options);
    if (applied !== undefined) return done(applied);
  }
  return withUploads(
    client,
    async (put) => {
      const sent = await send(client, put, { request, ...before, now });
      return client.write(
        what,
        async (session) => {
          const applied = await findApplied(session, request);
          if (applied !== undefined) return done(applied);
          const table = await openTable(session, request);
          refuseMoved(before.table, table);
          const sum = noTally();
          if (sent.rows !== undefined)
            addTally(sum, await mergeRows(session, request, { table, sent: sent.rows, now }));
          if (sent.tombstones !== undefined)
            addTally(
              sum,
              await mergeTombstones(session, table, sent.tombstones, { window: request.window.id, now }),
            );
          if (sent.aside !== undefined) await copyAside(session, sent.aside);
          await writeBatchRow(session, request, sum, now);
          return done({ batch: request.batch.id, alreadyApplied: false, ...sum });
        },
        options,
      );
    },
    signal,
  );
}

/** What was sent fits the table as it was then. */
export function refuseMoved(before: Target, now: Target): void {
  if (JSON.stringify(before.columns) === JSON.stringify(now.columns)) return;
  throw new HeadwaterError('WAREHOUSE_UNAVAILABLE', `${now.target} got other columns during the load`);
}

async function readApplied(session: Session, request: LoadRequest): Promise<ReturnType<typeof appliedBatch>> {
  const rows = await session.rows(
    'SELECT batch, attempt, inserted, updated, unchanged, stale, replaced_by FROM _headwater.batches WHERE "window" = $1',
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
      'UPDATE _headwater.batches SET replaced_by = NULL, attempt = $1 WHERE batch = $2 AND "window" = $3',
      [window.attempt, batch.id, window.id],
    );
  }
  return found.receipt;
}

/** An older batch of the same slice counts in no receipt any more. */
async function replaceOthers(session: Session, { batch, window }: LoadRequest): Promise<void> {
  await session.run(
    'UPDATE _headwater.batches SET replaced_by = $1 WHERE "window" = $2 AND slice = $3 AND batch <> $4 AND replaced_by IS NULL',
    [batch.id, window.id, batch.slice, batch.id],
  );
}

const BATCH_ROW = [...Array.from({ length: 12 }, () => '?'), 'CAST(? AS timestamptz)', 'NULL'];

export async function writeBatchRow(
  session: Session,
  request: LoadRequest,
  sum: Tally,
  now: string,
): Promise<void> {
  await replaceOthers(session, request);
  await session.run(
    `INSERT INTO _headwater.batches VALUES ${valuesSql(1, BATCH_ROW)}`,
    batchValues(request, sum, now),
  );
}

export async function openTable(session: Session, request: LoadRequest): Promise<Target> {
  const { window, schema } = request;
  checkNames(schema);
  const columns = await tableColumns(session, window.connection, schema.table);
  const target = session.target(window.connection, schema.table);
  const table = loadTable(target, request, columns, placeFields(schema.fields, columns));
  return { ...table, bare: quote(tableName(schema.table)) };
}

/** Names of fields whose values the policy sets aside. */
async function setAsidePlaces(
  session: Session,
  { window, schema, files }: LoadRequest,
  table: Target,
): Promise<string[]> {
  if (files.rows.length === 0) return [];
  const names: string[] = [];
  for (const place of leftOut(table.places)) {
    const [last] = await session.rows(
      'SELECT policy FROM _headwater.schema_changes WHERE connection = $1 AND "table" = $2 AND "column" = $3 ORDER BY changed_at DESC LIMIT 1',
      [window.connection, schema.table, columnName(place.field.column)],
    );
    if (isSetAside(place, last?.['policy'], table.target)) names.push(place.field.name);
  }
  return names;
}

interface Load {
  request: LoadRequest;
  table: Target;
  setAside: string[];
  now: string;
}

async function send(client: Client, put: Put, load: Load): Promise<Sent> {
  const { request, table, setAside, now } = load;
  const { rows: paths, tombstones, quarantine } = request.files;
  const sent: Sent = { rows: undefined, tombstones: undefined, aside: undefined };
  const lines = quarantine === null ? [] : [quarantineSql(request, quarantine, now)];
  if (paths.length > 0) {
    const described = rowColumns(table);
    const [found = {}] = await client.staged.rows(inspectSql(table.stagedKey, paths, described));
    checkShaped(request, Number(found['rows']), Number(found['keys']));
    const columns = withoutDoubt(described, found);
    sent.rows = await put(stagedSql(columns, paths));
    if (sent.rows.rows !== request.batch.counts.shaped)
      throw brokenFile(request, `gave ${sent.rows.rows} rows, ${request.batch.counts.shaped} were shaped`);
    lines.push(...leftOutSql(request, table, columns, { paths, now }));
    lines.push(...keptOutSql(request, table, setAside, now));
  }
  if (tombstones !== null) sent.tombstones = await put(stagedSql(timeColumns(table), [tombstones]));
  sent.aside = await sendAside(put, lines);
  return sent;
}

const timeColumns = (table: Target): StagedColumn[] => keyColumns(table, ['_version', '_confirmed_at']);

/** What the shaper set aside. For DuckDB. */
export function quarantineSql(request: LoadRequest, path: string, now: string): string {
  const line = {
    ...{ record: 'record', field: valueText('field'), value: 'value', raw: 'raw', now },
    reason: "coalesce(reason, 'unknown')",
  };
  return `SELECT ${asideValues(request, line)} FROM read_parquet(${literal(path)})`;
}

const valueText = (column: string): string => `CAST(${column} AS VARCHAR)`;

/** Under the policy `quarantine` values without a column are set aside, never dropped unseen. For DuckDB. */
function keptOutSql(request: LoadRequest, table: Target, setAside: readonly string[], now: string): string[] {
  const paths = request.files.rows.map(literal).join(', ');
  return leftOut(table.places)
    .filter(({ field }) => setAside.includes(field.name))
    .map(({ field }) => {
      const value = quote(field.column);
      const line = {
        ...{ record: table.stagedKey, field: literal(field.name), value, raw: 'NULL', now },
        reason: literal(keptOutReason(request.schema.table)),
      };
      return `SELECT ${asideValues(request, line)} FROM read_parquet([${paths}]) WHERE ${value} IS NOT NULL`;
    });
}

/** Nothing is sent where no line is to be set aside. */
export async function sendAside(put: Put, lines: readonly string[]): Promise<Upload | undefined> {
  if (lines.length === 0) return undefined;
  const sent = await put(lines.map((line) => `(${line})`).join(' UNION ALL '));
  return sent.rows === 0 ? undefined : sent;
}

export async function copyAside(session: Session, aside: Upload): Promise<void> {
  await fill(session, ASIDE, ASIDE_COLUMNS, aside);
  await session.run(insertAsideSql(ASIDE));
  await session.run(dropSql(ASIDE));
}

async function mergeRows(
  session: Session,
  request: LoadRequest,
  { table, sent, now }: { table: Target; sent: Upload; now: string },
): Promise<Tally> {
  const columns = rowColumns(table);
  await fill(session, ROWS, columns, sent, distributedBy(table.key));
  for (const sql of statement.unreadableSql(request, table, columns, now)) await session.run(sql);
  const [held] = await session.rows(`SELECT 1 AS held FROM ${table.target} LIMIT 1`);
  const tally =
    held === undefined
      ? { ...noTally(), inserted: await session.run(statement.insertAllSql(table, columns, now)) }
      : await mergePlanned(session, { table, columns, count: sent.rows, now });
  if (held === undefined && tally.inserted !== sent.rows) throw overtaken(table);
  await session.run(dropSql(ROWS));
  return tally;
}

interface Merge {
  table: Target;
  columns: readonly StagedColumn[];
  count: number;
  now: string;
}

async function mergePlanned(session: Session, { table, columns, count, now }: Merge): Promise<Tally> {
  const tally = await plan(session, table, statement.planRowsSql(table), count);
  if (tally.unchanged > 0) await session.run(statement.confirmSql(table));
  const writes = tally.inserted + tally.updated;
  if (writes > 0) {
    const keep = statement.keepSql(table, columns);
    if (keep !== undefined) await session.run(keep);
    const removed = tally.updated === 0 ? 0 : await session.run(statement.deleteSql(table));
    const written = await session.run(statement.insertSql(table, columns, now));
    if (removed !== tally.updated || written !== writes) throw overtaken(table);
    if (keep !== undefined) await session.run(dropSql(KEPT));
  }
  await session.run(dropSql(PLAN));
  return tally;
}

const overtaken = ({ target }: Target): HeadwaterError =>
  new HeadwaterError('WAREHOUSE_UNAVAILABLE', `another program wrote into ${target} during the load`);

async function mergeTombstones(
  session: Session,
  table: Target,
  sent: Upload,
  { window, now }: { window: string; now: string },
): Promise<Tally> {
  await fill(session, GONE, timeColumns(table), sent, distributedBy(table.key));
  const tally = await plan(session, table, statement.planTombstonesSql(table), sent.rows);
  if (tally.unchanged > 0) await session.run(statement.confirmSql(table));
  if (tally.updated > 0) await session.run(statement.markDeletedSql(table, window, now));
  if (tally.inserted > 0) await session.run(statement.insertTombstonesSql(table, window, now));
  await session.run(dropSql(GONE));
  await session.run(dropSql(PLAN));
  return tally;
}

/** Decides over every staged row before any is written. A key that the table holds twice would count twice: refused. */
async function plan(session: Session, table: Target, sql: string, rows: number): Promise<Tally> {
  await session.run(sql);
  return planTally(await session.rows(statement.PLAN_COUNTS), rows, table.target);
}

export async function verifyBatch(
  client: Client,
  request: LoadRequest,
): Promise<{ present: number; missing: number }> {
  const what = `verifying batch ${request.batch.id}`;
  const before = await client.read(what, (session) => openTable(session, request));
  const columns = keyColumns(before, ['_version']);
  const { rows, tombstones } = request.files;
  return withUploads(client, async (put) => {
    const sent: Upload[] = [];
    for (const paths of [rows, tombstones === null ? [] : [tombstones]])
      if (paths.length > 0) sent.push(await put(stagedSql(columns, paths)));
    return client.scratch(
      what,
      async (session) => {
        const table = await openTable(session, request);
        refuseMoved(before, table);
        const sum = { present: 0, missing: 0 };
        for (const upload of sent) {
          await fill(session, ROWS, columns, upload, distributedBy(table.key));
          const [counted] = await session.rows(statement.verifySql(table));
          sum.present += Number(counted?.['present'] ?? 0);
          sum.missing += Number(counted?.['missing'] ?? 0);
          await session.run(dropSql(ROWS));
        }
        return sum;
      },
      { label: labelOf(request) },
    );
  });
}
