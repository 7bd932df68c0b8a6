import type { DuckDBConnection } from '@duckdb/node-api';
import type { LoadReceipt } from '../../schemas/batch.ts';
import { addTally, broughtPlaces, checkPartial, noTally, partialTally } from '../batch-rules.ts';
import type { LoadTable } from '../batch-rules.ts';
import { literal, quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import { rowsOf } from './client.ts';
import { findApplied, openTable, writeBatchRow } from './load.ts';
import { quarantineSql } from './load-sql.ts';
import { tableType } from './types.ts';

const file = (path: string): string => `read_parquet(${literal(path)}, file_row_number = true)`;

/** A column that a partial window brings: its quoted name in the table, and the staged value as the table's type. */
interface Brought {
  column: string;
  value: string;
}

/**
 * One batch of a partial window in one transaction with its batch row. A staged row changes a row of its key only at the same
 * version, and only if nothing read that row later: these columns and the deleted flag, never another column and never a new
 * row. I2: each staged row is updated, unchanged or stale; stale is also a key that the table holds older, or not at all.
 */
export async function loadPartial(
  connection: DuckDBConnection,
  request: LoadRequest,
  now: string,
): Promise<LoadReceipt> {
  const started = performance.now();
  const applied = await findApplied(connection, request);
  if (applied !== undefined) return { ...applied, ms: performance.now() - started };
  const { batch, window, files } = request;
  const sum = noTally();
  const table = await openTable(connection, request);
  const brought = broughtBy(request, table);
  for (const path of files.rows) {
    await connection.run(planPartialSql(table, brought, path));
    const one = partialTally(
      await rowsOf(connection, 'SELECT action, count(*) AS rows FROM partial_plan GROUP BY action'),
    );
    addTally(sum, one);
    if (one.updated > 0)
      await connection.run(updatePartialSql(table, brought, path, { window: window.id, now }));
    await connection.run(confirmSeenSql(table.target));
  }
  checkPartial(request, sum, table.target);
  if (files.quarantine !== null) {
    const about = [now, batch.id, window.id, window.connection, window.object];
    await connection.run(quarantineSql(files.quarantine), about);
  }
  await writeBatchRow(connection, request, sum, now);
  return { batch: batch.id, alreadyApplied: false, ...sum, ms: performance.now() - started };
}

const broughtBy = (request: LoadRequest, { places }: LoadTable): Brought[] =>
  broughtPlaces(request, places).map(({ field, column }) => {
    const staged = `s.${quote(field.column)}`;
    const value = tableType(field.type) === column.type ? staged : `CAST(${staged} AS ${column.type})`;
    return { column: quote(column.name), value };
  });

/** The order tuple without hash: what was read of this version later stands. `behind`: the table lacks a newer version. */
export function planPartialSql(table: LoadTable, brought: Brought[], path: string): string {
  const { target, key, keyType, stagedKey } = table;
  const differs = [
    's._deleted IS DISTINCT FROM t._deleted',
    ...brought.map(({ column, value }) => `${value} IS DISTINCT FROM t.${column}`),
  ];
  return [
    'CREATE OR REPLACE TEMP TABLE partial_plan AS',
    'SELECT s.file_row_number AS n, t.rowid AS row_id, s._confirmed_at, CASE',
    "  WHEN t.rowid IS NULL THEN 'absent'",
    "  WHEN t._version < s._version THEN 'behind'",
    "  WHEN t._version > s._version OR t._confirmed_at > s._confirmed_at THEN 'stale'",
    `  WHEN ${differs.join(' OR ')} THEN 'update'`,
    "  ELSE 'unchanged' END AS action",
    `FROM ${file(path)} AS s LEFT JOIN ${target} AS t ON CAST(s.${stagedKey} AS ${keyType}) = t.${key}`,
  ].join('\n');
}

/** `_hash` was over the values of before: without it, no later reading takes the row for unchanged. */
export function updatePartialSql(
  { target }: LoadTable,
  brought: Brought[],
  path: string,
  { window, now }: { window: string; now: string },
): string {
  const set = [
    ...brought.map(({ column, value }) => `${column} = ${value}`),
    '_deleted = s._deleted',
    '_hash = NULL',
    `_window = ${literal(window)}`,
    `_loaded_at = TIMESTAMPTZ ${literal(now)}`,
  ];
  return [
    `UPDATE ${target} AS t SET ${set.join(', ')}`,
    `FROM (SELECT f.*, p.row_id FROM ${file(path)} AS f JOIN partial_plan AS p ON f.file_row_number = p.n WHERE p.action = 'update') AS s`,
    'WHERE t.rowid = s.row_id',
  ].join('\n');
}

/** Every row whose key was seen is alive in the source: retiring looks at this time. It never moves back. */
export function confirmSeenSql(target: string): string {
  return [
    `UPDATE ${target} AS t SET _confirmed_at = p._confirmed_at FROM partial_plan AS p`,
    'WHERE t.rowid = p.row_id AND p._confirmed_at > t._confirmed_at',
  ].join('\n');
}

/**
 * A key that the table lacks, or holds older than the source does, is a hole that a window left: only what was set aside
 * explains it. What the columns hold is not asked: a later reading may have changed them again.
 */
export async function verifyPartial(
  connection: DuckDBConnection,
  request: LoadRequest,
): Promise<{ present: number; missing: number }> {
  const { target, key, keyType, stagedKey } = await openTable(connection, request);
  const sum = { present: 0, missing: 0 };
  for (const path of request.files.rows) {
    const [row] = await rowsOf(
      connection,
      [
        'SELECT count(*) FILTER (found) AS present, count(*) FILTER (NOT found) AS missing FROM (',
        '  SELECT coalesce(t._version >= s.v, false) OR q.record IS NOT NULL AS found',
        `  FROM (SELECT CAST(${stagedKey} AS ${keyType}) AS k, _version AS v FROM read_parquet(${literal(path)})) AS s`,
        `  LEFT JOIN ${target} AS t ON s.k = t.${key}`,
        '  LEFT JOIN (SELECT DISTINCT record FROM _headwater.quarantine WHERE connection = $1 AND object = $2) AS q',
        '    ON CAST(s.k AS VARCHAR) = q.record)',
      ].join('\n'),
      [request.window.connection, request.window.object],
    );
    sum.present += Number(row?.['present'] ?? 0);
    sum.missing += Number(row?.['missing'] ?? 0);
  }
  return sum;
}
