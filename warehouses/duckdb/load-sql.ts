import type { ObjectSchema } from '../../schemas/object-schema.ts';
import { keptOutReason } from '../batch-rules.ts';
import type { LoadTable } from '../batch-rules.ts';
import { QUARANTINE_COLUMNS } from '../fact-rows.ts';
import { literal, qualified, quote } from '../sql.ts';
import { tableType } from './types.ts';
import type { Place } from '../columns.ts';

/**
 * A load in statements that fit into little memory: a narrow join of keys and order tuples decides what becomes of each staged
 * row (`load_plan`), then whole rows are deleted and inserted. MERGE of whole rows needs memory for both sides.
 */
export const targetOf = (connection: string, schema: ObjectSchema): string =>
  qualified(connection, schema.table);

const SYSTEM = ['_deleted', '_version', '_confirmed_at', '_hash', '_window'];
const OLD = "TIMESTAMPTZ '0001-01-01 00:00:00+00'";
const at = (now: string): string => `TIMESTAMPTZ ${literal(now)}`;

/** One staged file, or several of equal columns. */
export type StagedPaths = string | readonly string[];

const list = (paths: StagedPaths): readonly string[] => (typeof paths === 'string' ? [paths] : paths);

const parquet = (paths: StagedPaths, options = ''): string => {
  const [first = '', ...more] = list(paths).map(literal);
  return `read_parquet(${more.length === 0 ? first : `[${[first, ...more].join(', ')}]`}${options})`;
};

const file = (paths: StagedPaths): string => parquet(paths, ', file_row_number = true');

/** Of a row among all files of the batch; a file has far fewer rows than 2^40. */
const position = (paths: StagedPaths, of = ''): string =>
  list(paths).length === 1
    ? `${of}file_row_number`
    : `(${of}file_index * 1099511627776 + ${of}file_row_number)`;

/** Of the staged rows: how many, and how many distinct keys; hashes are counted faster than texts. */
export function inspectSql(stagedKey: string, path: StagedPaths): string {
  return `SELECT count(*), count(DISTINCT hash(${stagedKey})) FROM ${parquet(path)}`;
}

/**
 * `n` position in the file, `row_id` in the table, `action`. The whole order tuple decides, every part coalesced; a deletion
 * wins against a row of the same version and time. Equal content is unchanged: only its times move.
 */
export function planRowsSql(table: LoadTable, path: StagedPaths): string {
  return planSql(table, path, '_hash', [
    "WHEN t.row_id IS NULL THEN 'insert'",
    "WHEN t._hash = s._hash AND t._deleted = s._deleted THEN 'unchanged'",
    `WHEN ${orderSql('s')} > ${orderSql('t')} THEN 'update'`,
  ]);
}

/** A tombstone has no content: against a live row of the same version and time it wins, against a deleted one nothing changes. */
export function planTombstonesSql(table: LoadTable, path: StagedPaths): string {
  return planSql(table, path, 'NULL::UBIGINT AS _hash', [
    "WHEN t.row_id IS NULL THEN 'insert'",
    "WHEN t._deleted THEN 'unchanged'",
    `WHEN (s._version, s._confirmed_at) >= (coalesce(t._version, ${OLD}), coalesce(t._confirmed_at, ${OLD})) THEN 'update'`,
  ]);
}

function planSql(
  { target, key, keyType, stagedKey }: LoadTable,
  path: StagedPaths,
  hash: string,
  cases: string[],
): string {
  return [
    'CREATE OR REPLACE TEMP TABLE load_plan AS',
    `SELECT s.n, t.row_id, s.k, s._version, s._confirmed_at, CASE`,
    ...cases.map((line) => `  ${line}`),
    "  ELSE 'stale' END AS action",
    `FROM (SELECT CAST(${stagedKey} AS ${keyType}) AS k, _deleted, _version, _confirmed_at, ${hash}, ${position(path)} AS n FROM ${file(path)}) AS s`,
    `LEFT JOIN (SELECT rowid AS row_id, ${key} AS k, _deleted, _version, _confirmed_at, _hash FROM ${target}) AS t ON s.k = t.k`,
  ].join('\n');
}

function orderSql(alias: string): string {
  return (
    `(coalesce(${alias}._version, ${OLD}), coalesce(${alias}._confirmed_at, ${OLD}), ` +
    `coalesce(${alias}._deleted, false), coalesce(${alias}._hash, 0))`
  );
}

export const PLAN_COUNTS = 'SELECT action, count(*) AS rows FROM load_plan GROUP BY action';

/**
 * Equal content was seen again: the times move forward, the row does not count as loaded anew. They move together, as one order
 * tuple: the version of one reading with the confirmation of another would outrank what no reading outranked (I1).
 */
export function confirmSql(target: string): string {
  const older = `(coalesce(t._version, ${OLD}), coalesce(t._confirmed_at, ${OLD}))`;
  return [
    `UPDATE ${target} AS t SET _version = p._version, _confirmed_at = p._confirmed_at`,
    "FROM load_plan AS p WHERE p.action = 'unchanged' AND t.rowid = p.row_id",
    `  AND (coalesce(p._version, ${OLD}), coalesce(p._confirmed_at, ${OLD})) > ${older}`,
  ].join('\n');
}

/** Columns of the table that this load does not write: their values outlive an update. */
function keptColumns({ columns, places }: LoadTable): string[] {
  const written = new Set([
    ...places.flatMap((place) => (place.fits && place.column ? [place.column.name] : [])),
    ...SYSTEM,
    '_loaded_at',
  ]);
  return columns.filter((column) => !written.has(column.name)).map((column) => quote(column.name));
}

/** Before the update: sets the values aside that the new rows do not bring. Null where they bring everything. */
export function keepSql(table: LoadTable): string | null {
  const kept = keptColumns(table);
  if (kept.length === 0) return null;
  return (
    `CREATE OR REPLACE TEMP TABLE load_kept AS SELECT p.n, ${kept.map((column) => `t.${column}`).join(', ')}\n` +
    `FROM ${table.target} AS t JOIN load_plan AS p ON t.rowid = p.row_id WHERE p.action = 'update'`
  );
}

export function deleteSql(target: string): string {
  return `DELETE FROM ${target} WHERE rowid IN (SELECT row_id FROM load_plan WHERE action = 'update')`;
}

/** The staged values under the table's own names and types. */
function stagedValues({ places }: LoadTable, now: string): { names: string[]; values: string[] } {
  const mapped = places.flatMap((place) =>
    place.column && place.fits ? [{ ...place, column: place.column }] : [],
  );
  const values = mapped.map(({ column, field }) => {
    const staged = quote(field.column);
    return tableType(field.type) === column.type ? `s.${staged}` : `CAST(s.${staged} AS ${column.type})`;
  });
  return {
    names: [...mapped.map(({ column }) => quote(column.name)), ...SYSTEM, '_loaded_at'],
    values: [...values, ...SYSTEM.map((name) => `s.${name}`), at(now)],
  };
}

/** Every staged row: for a table that holds none of their keys. */
export function insertAllSql(table: LoadTable, path: StagedPaths, now: string): string {
  const { names, values } = stagedValues(table, now);
  return `INSERT INTO ${table.target} (${names.join(', ')})\nSELECT ${values.join(', ')}\nFROM ${parquet(path)} AS s`;
}

/** The rows that the plan inserts or updates, an updated one with what was kept of it. */
export function insertPlannedSql(
  table: LoadTable,
  path: StagedPaths,
  now: string,
  withKept: boolean,
): string {
  const { names, values } = stagedValues(table, now);
  const kept = withKept ? keptColumns(table) : [];
  const n = position(path, 's.');
  return [
    `INSERT INTO ${table.target} (${[...names, ...kept].join(', ')})`,
    `SELECT ${[...values, ...kept.map((column) => `k.${column}`)].join(', ')}`,
    `FROM ${file(path)} AS s SEMI JOIN (SELECT n FROM load_plan WHERE action IN ('insert', 'update')) AS p ON ${n} = p.n`,
    ...(kept.length > 0 ? [`LEFT JOIN load_kept AS k ON ${n} = k.n`] : []),
  ].join('\n');
}

/** The source's values stay under a tombstone. */
export function markDeletedSql(target: string, window: string, now: string): string {
  return [
    `UPDATE ${target} AS t SET _deleted = true, _version = p._version, _confirmed_at = p._confirmed_at, _window = ${literal(window)}, _loaded_at = ${at(now)}`,
    "FROM load_plan AS p WHERE p.action = 'update' AND t.rowid = p.row_id",
  ].join('\n');
}

/** An unknown key gets a row of its own, or a late older update would revive it. */
export function insertTombstonesSql({ target, key }: LoadTable, window: string, now: string): string {
  return [
    `INSERT INTO ${target} (${key}, _deleted, _version, _confirmed_at, _window, _loaded_at)`,
    `SELECT k, true, _version, _confirmed_at, ${literal(window)}, ${at(now)} FROM load_plan WHERE action = 'insert'`,
  ].join('\n');
}

/** present, missing: keys of the file that the table holds at a version at least as new. */
export function verifySql({ target, key, keyType, stagedKey }: LoadTable, path: StagedPaths): string {
  return [
    'SELECT count(*) FILTER (t._version >= s.v), count(*) FILTER (t._version IS NULL OR t._version < s.v)',
    `FROM (SELECT CAST(${stagedKey} AS ${keyType}) AS k, _version AS v FROM ${parquet(path)}) AS s`,
    `LEFT JOIN ${target} AS t ON s.k = t.${key}`,
  ].join('\n');
}

/** Values of a field that the policy keeps out of the table but not out of sight. `$1` time, `$2` batch, `$3` window, `$4` connection, `$5` object. */
export function setAsideSql(place: Place, table: string, stagedKey: string, path: StagedPaths): string {
  const value = quote(place.field.column);
  return [
    `INSERT INTO _headwater.quarantine ${QUARANTINE_COLUMNS}`,
    `SELECT $2, $3, $4, $5, CAST(${stagedKey} AS VARCHAR), ${literal(place.field.name)}, CAST(${value} AS VARCHAR),`,
    `  ${literal(keptOutReason(table))}, NULL, $1::TIMESTAMPTZ`,
    `FROM ${parquet(path)} WHERE ${value} IS NOT NULL`,
  ].join('\n');
}

export function quarantineSql(path: StagedPaths): string {
  return [
    `INSERT INTO _headwater.quarantine ${QUARANTINE_COLUMNS}`,
    "SELECT $2, $3, $4, $5, record, field, value, coalesce(reason, 'unknown'), raw, $1::TIMESTAMPTZ",
    `FROM ${parquet(path)}`,
  ].join('\n');
}
