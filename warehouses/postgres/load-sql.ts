import { literal, quote } from '../sql.ts';
import type { LoadTable } from '../batch-rules.ts';
import { SYSTEM_COLUMNS } from './schema.ts';
import { HASH_VALUE } from './staging.ts';
import type { StagedColumn } from './staging.ts';

/** Names of the temporary tables of a load. */
export const ROWS = 'load_rows';
export const GONE = 'load_gone';
export const PLAN = 'load_plan';

const OLD = "timestamptz '0001-01-01 00:00:00+00'";
const HASH_MIN = '-9223372036854775808';
const at = (now: string): string => `timestamptz ${literal(now)}`;

/** The staged values under the table's own names and types. */
export function stagedColumns({ places }: LoadTable): StagedColumn[] {
  const mapped = places.flatMap(({ field, column, fits }) =>
    column !== undefined && fits
      ? [{ name: column.name, type: column.type, value: quote(field.column), field: field.name }]
      : [],
  );
  // A text of the source never begins a line: a line of \. alone would end the rows for an older server.
  return [...SYSTEM_COLUMNS.map(({ name, type }) => ({ name, type, value: systemValue(name) })), ...mapped];
}

const systemValue = (name: string): string => (name === '_hash' ? HASH_VALUE : name);

/** Key, version and confirmation alone: what a receipt, a tombstone and a comparison of keys need. */
export function keyColumns(
  { keyName, keyType, stagedKey }: LoadTable,
  names: readonly string[],
): StagedColumn[] {
  const system = SYSTEM_COLUMNS.filter(({ name }) => names.includes(name));
  return [
    ...system.map(({ name, type }) => ({ name, type, value: systemValue(name) })),
    { name: keyName, type: keyType, value: stagedKey },
  ];
}

/** Of the staged rows: how many, and how many distinct keys; hashes are counted faster than texts. For DuckDB. */
export function inspectSql(stagedKey: string, paths: readonly string[]): string {
  const list = paths.map(literal).join(', ');
  return `SELECT count(*) AS rows, count(DISTINCT hash(${stagedKey})) AS keys FROM read_parquet([${list}])`;
}

const ordered = (alias: string): string =>
  `(coalesce(${alias}._version, ${OLD}), coalesce(${alias}._confirmed_at, ${OLD}), ` +
  `coalesce(${alias}._deleted, false), coalesce(${alias}._hash, ${HASH_MIN}))`;
const times = (alias: string): string =>
  `(coalesce(${alias}._version, ${OLD}), coalesce(${alias}._confirmed_at, ${OLD}))`;

/**
 * What becomes of each staged row. The whole order tuple decides, every part coalesced; a deletion wins against a row of the same
 * version and time. Equal content is unchanged: only its times move.
 */
export function planRowsSql(table: LoadTable): string {
  return planSql(table, ROWS, [
    `WHEN t.${table.key} IS NULL THEN 'insert'`,
    "WHEN t._hash = s._hash AND t._deleted = s._deleted THEN 'unchanged'",
    `WHEN ${ordered('s')} > ${ordered('t')} THEN 'update'`,
  ]);
}

/** A tombstone has no content: against a live row of the same version and time it wins, against a deleted one nothing changes. */
export function planTombstonesSql(table: LoadTable): string {
  return planSql(table, GONE, [
    `WHEN t.${table.key} IS NULL THEN 'insert'`,
    "WHEN t._deleted THEN 'unchanged'",
    `WHEN (s._version, s._confirmed_at) >= ${times('t')} THEN 'update'`,
  ]);
}

function planSql({ target, key }: LoadTable, staged: string, cases: readonly string[]): string {
  return [
    `CREATE TEMP TABLE ${PLAN} ON COMMIT DROP AS`,
    `SELECT s.${key} AS k, s._version, s._confirmed_at, CASE`,
    ...cases.map((line) => `  ${line}`),
    "  ELSE 'stale' END AS action",
    `FROM ${staged} AS s LEFT JOIN ${target} AS t ON t.${key} = s.${key}`,
  ].join('\n');
}

export const PLAN_COUNTS = `SELECT action, count(*) AS rows FROM ${PLAN} GROUP BY action`;
export const DROP_PLAN = `DROP TABLE ${PLAN}`;

/**
 * Equal content was seen again: the times move forward, the row does not count as loaded anew. They move together, as one order
 * tuple: the version of one reading with the confirmation of another would outrank what no reading outranked (I1).
 */
export function confirmSql({ target, key }: LoadTable): string {
  return [
    `UPDATE ${target} AS t SET _version = p._version, _confirmed_at = p._confirmed_at`,
    `FROM ${PLAN} AS p WHERE p.action = 'unchanged' AND t.${key} = p.k AND ${times('p')} > ${times('t')}`,
  ].join('\n');
}

interface Values {
  names: string[];
  values: string[];
}

function stagedValues(table: LoadTable, now: string): Values {
  const names = stagedColumns(table).map(({ name }) => quote(name));
  return { names: [...names, '_loaded_at'], values: [...names.map((name) => `s.${name}`), at(now)] };
}

/** Every staged row: for a table that holds none of their keys. */
export function insertAllSql(table: LoadTable, now: string): string {
  const { names, values } = stagedValues(table, now);
  return `INSERT INTO ${table.target} (${names.join(', ')})\nSELECT ${values.join(', ')} FROM ${ROWS} AS s`;
}

/** The rows that the plan inserts or updates; columns that this load does not write keep their values. */
export function mergeSql(table: LoadTable, now: string): string {
  const { target, key } = table;
  const { names, values } = stagedValues(table, now);
  const set = names.filter((name) => name !== key).map((name) => `${name} = excluded.${name}`);
  return [
    `INSERT INTO ${target} AS t (${names.join(', ')})`,
    `SELECT ${values.join(', ')}`,
    `FROM ${ROWS} AS s JOIN ${PLAN} AS p ON p.k = s.${key} WHERE p.action IN ('insert', 'update')`,
    `ON CONFLICT (${key}) DO UPDATE SET ${set.join(', ')}`,
    // Another writer may have come between plan and merge: the newer version stays then, too.
    `WHERE ${ordered('excluded')} > ${ordered('t')}`,
  ].join('\n');
}

/** The source's values stay under a tombstone. */
export function markDeletedSql({ target, key }: LoadTable, window: string, now: string): string {
  return [
    `UPDATE ${target} AS t SET _deleted = true, _version = p._version, _confirmed_at = p._confirmed_at, _window = ${literal(window)}, _loaded_at = ${at(now)}`,
    `FROM ${PLAN} AS p WHERE p.action = 'update' AND t.${key} = p.k`,
  ].join('\n');
}

/** An unknown key gets a row of its own, or a late older update would revive it. */
export function insertTombstonesSql({ target, key }: LoadTable, window: string, now: string): string {
  return [
    `INSERT INTO ${target} (${key}, _deleted, _version, _confirmed_at, _window, _loaded_at)`,
    `SELECT k, true, _version, _confirmed_at, ${literal(window)}, ${at(now)} FROM ${PLAN} WHERE action = 'insert'`,
  ].join('\n');
}

/** present, missing: staged keys that the table holds at a version at least as new. */
export function verifySql({ target, key }: LoadTable): string {
  return [
    'SELECT count(*) FILTER (WHERE t._version >= s._version) AS present,',
    '  count(*) FILTER (WHERE t._version IS NULL OR t._version < s._version) AS missing',
    `FROM ${ROWS} AS s LEFT JOIN ${target} AS t ON t.${key} = s.${key}`,
  ].join('\n');
}
