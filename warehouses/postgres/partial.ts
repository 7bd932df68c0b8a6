import type { LoadReceipt } from '../../schemas/batch.ts';
import { broughtPlaces, checkPartial, noTally, partialTally } from '../batch-rules.ts';
import type { LoadTable } from '../batch-rules.ts';
import { literal, quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import type { Session } from './client.ts';
import { copyQuarantine, findApplied, lockTable, openTable, writeBatchRow } from './load.ts';
import { keyColumns, ROWS, verifySql } from './load-sql.ts';
import { stageRows } from './staging.ts';
import type { StagedColumn } from './staging.ts';
import { comparable } from './types.ts';

const PLAN = 'partial_plan';

/**
 * One batch of a partial window in one transaction with its batch row. A staged row changes a row of its key only at the same
 * version, and only if nothing read that row later: these columns and the deleted flag, never another column and never a new
 * row. I2: each staged row is updated, unchanged or stale; stale is also a key that the table holds older, or not at all.
 */
export async function loadPartial(session: Session, request: LoadRequest, now: string): Promise<LoadReceipt> {
  const started = performance.now();
  await lockTable(session, { connection: request.window.connection, table: request.schema.table });
  const applied = await findApplied(session, request);
  if (applied !== undefined) return { ...applied, ms: performance.now() - started };
  const { batch, window, files } = request;
  const table = await openTable(session, request);
  const brought = broughtBy(request, table);
  let sum = noTally();
  if (files.rows.length > 0) {
    const columns = [...keyColumns(table, ['_deleted', '_version', '_confirmed_at']), ...brought];
    await stageRows(session, ROWS, columns, files.rows, { request, key: table.keyName, now });
    await session.run(planPartialSql(table, brought));
    sum = partialTally(await session.rows(`SELECT action, count(*) AS rows FROM ${PLAN} GROUP BY action`));
    if (sum.updated > 0) await session.run(updatePartialSql(table, brought, { window: window.id, now }));
    await session.run(confirmSeenSql(table));
  }
  checkPartial(request, sum, table.target);
  if (files.quarantine !== null) await copyQuarantine(session, request, files.quarantine, now);
  await writeBatchRow(session, request, sum, now);
  return { batch: batch.id, alreadyApplied: false, ...sum, ms: performance.now() - started };
}

const broughtBy = (request: LoadRequest, { places }: LoadTable): StagedColumn[] =>
  broughtPlaces(request, places).map(({ field, column }) => ({
    ...{ name: column.name, type: column.type, value: quote(field.column), field: field.name },
  }));

const differs = ({ name, type }: StagedColumn): string =>
  `${comparable(`s.${quote(name)}`, type)} IS DISTINCT FROM ${comparable(`t.${quote(name)}`, type)}`;

/** The order tuple without hash: what was read of this version later stands. `behind`: the table lacks a newer version. */
export function planPartialSql({ target, key }: LoadTable, brought: readonly StagedColumn[]): string {
  const changed = ['s._deleted IS DISTINCT FROM t._deleted', ...brought.map(differs)];
  return [
    `CREATE TEMP TABLE ${PLAN} ON COMMIT DROP AS`,
    `SELECT s.${key} AS k, s._confirmed_at, CASE`,
    `  WHEN t.${key} IS NULL THEN 'absent'`,
    "  WHEN t._version < s._version THEN 'behind'",
    "  WHEN t._version > s._version OR t._confirmed_at > s._confirmed_at THEN 'stale'",
    `  WHEN ${changed.join(' OR ')} THEN 'update'`,
    "  ELSE 'unchanged' END AS action",
    `FROM ${ROWS} AS s LEFT JOIN ${target} AS t ON t.${key} = s.${key}`,
  ].join('\n');
}

/** `_hash` was over the values of before: without it, no later reading takes the row for unchanged. */
export function updatePartialSql(
  { target, key }: LoadTable,
  brought: readonly StagedColumn[],
  { window, now }: { window: string; now: string },
): string {
  const set = [
    ...brought.map(({ name }) => `${quote(name)} = s.${quote(name)}`),
    '_deleted = s._deleted',
    '_hash = NULL',
    `_window = ${literal(window)}`,
    `_loaded_at = timestamptz ${literal(now)}`,
  ];
  return [
    `UPDATE ${target} AS t SET ${set.join(', ')}`,
    `FROM ${ROWS} AS s JOIN ${PLAN} AS p ON p.k = s.${key} WHERE p.action = 'update' AND t.${key} = s.${key}`,
  ].join('\n');
}

/** Every row whose key was seen is alive in the source: retiring looks at this time. It never moves back. */
export function confirmSeenSql({ target, key }: LoadTable): string {
  return [
    `UPDATE ${target} AS t SET _confirmed_at = p._confirmed_at FROM ${PLAN} AS p`,
    `WHERE t.${key} = p.k AND p._confirmed_at > t._confirmed_at`,
  ].join('\n');
}

/**
 * A key that the table lacks, or holds older than the source does, is a hole that a window left: only what was set aside
 * explains it. What the columns hold is not asked: a later reading may have changed them again.
 */
export async function verifyPartial(
  session: Session,
  request: LoadRequest,
): Promise<{ present: number; missing: number }> {
  const { rows } = request.files;
  if (rows.length === 0) return { present: 0, missing: 0 };
  const table = await openTable(session, request);
  const { target, key } = table;
  await stageRows(session, ROWS, keyColumns(table, ['_version']), rows);
  const [all] = await session.rows(verifySql(table));
  const [explained] = await session.rows(
    `SELECT count(*) AS rows FROM ${ROWS} AS s LEFT JOIN ${target} AS t ON t.${key} = s.${key}
     WHERE NOT coalesce(t._version >= s._version, false) AND s.${key}::text IN
       (SELECT record FROM _headwater.quarantine WHERE connection = $1 AND object = $2 AND record IS NOT NULL)`,
    [request.window.connection, request.window.object],
  );
  const aside = Number(explained?.['rows'] ?? 0);
  return { present: Number(all?.['present'] ?? 0) + aside, missing: Number(all?.['missing'] ?? 0) - aside };
}
