import type { LoadReceipt } from '../../schemas/batch.ts';
import { broughtPlaces, checkPartial, partialTally } from '../batch-rules.ts';
import type { LoadTable } from '../batch-rules.ts';
import { quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import type { Client } from './client.ts';
import { asidePart, commitBatch, findApplied, openTable, stageRows } from './load.ts';
import type { Load, Part } from './load.ts';
import {
  castOf,
  countOf,
  inexactSql,
  keyColumn,
  planName,
  refuseSql,
  stagedKeyOf,
  stagedValue,
  systemColumns,
  verifySql,
} from './load-sql.ts';
import { moment, quoted, text } from './names.ts';
import { dropStaged } from './staging.ts';
import type { StagedColumn } from './staging.ts';
import { ownTable, quarantineInto } from './system-tables.ts';
import { comparable } from './types.ts';

/**
 * One batch of a partial window in one transaction with its batch row. A staged row changes a row of its key only at the same
 * version, and only if nothing read that row later: these columns and the deleted flag, never another column and never a new
 * row. I2: each staged row is updated, unchanged or stale; stale is also a key that the table holds older, or not at all.
 */
export async function loadPartial(
  client: Client,
  request: LoadRequest,
  now: string,
  signal: AbortSignal,
): Promise<LoadReceipt> {
  const started = performance.now();
  const applied = await findApplied(client, request);
  if (applied !== undefined) return { ...applied, ms: performance.now() - started };
  const table = await openTable(client, request);
  const load: Load = { client, request, table, now, signal };
  const columns = partialColumns(table, request);
  const parts: Part[] = [];
  if (request.files.rows.length > 0) parts.push(await partialPart(load, columns));
  else checkPartial(request, partialTally([]), table.target);
  parts.push(await asidePart(load, columns, []));
  return { ...(await commitBatch(load, parts)), ms: performance.now() - started };
}

function partialColumns(table: LoadTable, request: LoadRequest): StagedColumn[] {
  return [
    ...systemColumns(['_deleted', '_version', '_confirmed_at']),
    keyColumn(table),
    ...broughtPlaces(request, table.places).map(({ field, column }, at): StagedColumn => {
      const name = `c${at}`;
      const through = stagedValue(quote(field.column), column.type);
      const cast = castOf(`s.${name}`, column.type);
      return { ...through, name, target: column.name, type: column.type, cast, field: field.name };
    }),
  ];
}

async function partialPart(load: Load, columns: StagedColumn[]): Promise<Part> {
  const { client, request, table, now } = load;
  const staged = await stageRows(load, request.files.rows, columns);
  const plan = { name: planName(table, request, 'some'), staging: staged.table, columns };
  const brought = columns.filter(({ field }) => field !== undefined);
  return {
    statements: [
      ...staged.proof,
      planPartialSql(table, plan, brought),
      refuseSql(`(SELECT COUNT(*) FROM ${plan.name}) <> ${request.batch.counts.shaped}`, 'repeated'),
      mergePartialSql(table, plan, brought, { window: request.window.id, now }),
      ...inexactSql(table, plan, request, quarantineInto(client), now),
    ],
    tally: {
      inserted: '0',
      updated: countOf([plan.name], 'update'),
      unchanged: countOf([plan.name], 'unchanged'),
      stale: countOf([plan.name], 'stale', 'behind', 'absent'),
    },
    staged: [staged],
    temporary: [plan.name],
  };
}

interface Plan {
  name: string;
  staging: string;
  columns: readonly StagedColumn[];
}

const differs = ({ target, cast, type }: StagedColumn): string =>
  `${comparable(cast, type)} IS DISTINCT FROM ${comparable(`t.${quoted(target)}`, type)}`;

/** The order tuple without hash: what was read of this version later stands. `behind`: the table lacks a newer version. */
export function planPartialSql(
  table: LoadTable,
  { name, staging, columns }: Plan,
  brought: readonly StagedColumn[],
): string {
  const key = stagedKeyOf(table, columns);
  const changed = ['s._deleted IS DISTINCT FROM t._deleted', ...brought.map(differs)];
  return [
    `CREATE OR REPLACE TEMP TABLE ${name} AS`,
    `SELECT ${key} AS k, CASE`,
    `  WHEN t.${table.key} IS NULL THEN 'absent'`,
    "  WHEN t._version < s._version THEN 'behind'",
    "  WHEN t._version > s._version OR t._confirmed_at > s._confirmed_at THEN 'stale'",
    `  WHEN ${changed.join(' OR ')} THEN 'update'`,
    "  ELSE 'unchanged' END AS action",
    `FROM ${staging} AS s LEFT JOIN ${table.target} AS t ON t.${table.key} = ${key}`,
  ].join('\n');
}

/**
 * `_hash` was over the values of before: without it, no later reading takes the row for unchanged. Every row whose key was seen is
 * alive in the source: retiring looks at `_confirmed_at`, which never moves back.
 */
export function mergePartialSql(
  table: LoadTable,
  { name, staging, columns }: Plan,
  brought: readonly StagedColumn[],
  { window, now }: { window: string; now: string },
): string {
  const key = stagedKeyOf(table, columns);
  const values = brought.map(({ name: staged, cast }) => `${cast} AS v_${staged}`);
  const set = [
    ...brought.map(({ target, name: staged }) => `${quoted(target)} = s.v_${staged}`),
    '_deleted = s._deleted',
    '_hash = NULL',
    `_window = ${text(window)}`,
    `_loaded_at = ${moment(now)}`,
  ];
  const confirmed = '_confirmed_at = s.hw_confirmed';
  return [
    `MERGE INTO ${table.target} AS t USING (`,
    `  SELECT ${['p.action AS hw_action', `${key} AS k`, 's._deleted', 's._confirmed_at AS hw_confirmed', ...values].join(', ')}`,
    `  FROM ${staging} AS s JOIN ${name} AS p ON p.k = ${key} WHERE p.action <> 'absent'`,
    `) AS s ON t.${table.key} = s.k`,
    `WHEN MATCHED AND s.hw_action = 'update' THEN UPDATE SET ${set.join(', ')}, ${confirmed}`,
    `WHEN MATCHED AND s.hw_confirmed > t._confirmed_at THEN UPDATE SET ${confirmed}`,
  ].join('\n');
}

/**
 * A key that the table lacks, or holds older than the source does, is a hole that a window left: only what was set aside
 * explains it. What the columns hold is not asked: a later reading may have changed them again.
 */
export async function verifyPartial(
  client: Client,
  request: LoadRequest,
): Promise<{ present: number; missing: number }> {
  if (request.files.rows.length === 0) return { present: 0, missing: 0 };
  const table = await openTable(client, request);
  const columns = partialColumns(table, request);
  const staged = await stageRows({ client, request }, request.files.rows, columns);
  const [all] = await client.rows(verifySql(table, staged.table, columns));
  const key = stagedKeyOf(table, columns);
  const [explained] = await client.rows(
    [
      `SELECT COUNT(*) AS n FROM ${staged.table} AS s LEFT JOIN ${table.target} AS t ON t.${table.key} = ${key}`,
      `JOIN (SELECT DISTINCT record FROM ${ownTable(client, 'quarantine')} WHERE \`connection\` = @name AND \`object\` = @object AND record IS NOT NULL) AS q ON q.record = CAST(${key} AS STRING)`,
      'WHERE t._version IS NULL OR t._version < s._version',
    ].join('\n'),
    { name: request.window.connection, object: request.window.object },
  );
  const aside = Number(explained?.['n'] ?? 0);
  const missing = Number(all?.['missing'] ?? 0) - aside;
  if (missing === 0) await dropStaged(client, [staged]);
  return { present: Number(all?.['present'] ?? 0) + aside, missing };
}
