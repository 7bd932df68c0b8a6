import { keptOutReason, leftOut } from '../batch-rules.ts';
import type { LoadTable, Tally } from '../batch-rules.ts';
import { literal, quote } from '../sql.ts';
import type { LoadRequest } from '../warehouse.ts';
import { moment, quoted, sha, text } from './names.ts';
import { SYSTEM_COLUMNS } from './schema.ts';
import type { StagedColumn } from './staging.ts';
import { parseTableType } from './types.ts';

/** The order of staged unsigned hashes, in a signed integer: BigQuery has no unsigned one. */
const HASH_VALUE = 'CAST(CAST(_hash AS HUGEINT) - 9223372036854775808 AS BIGINT)';
const HASH_MIN = '-9223372036854775808';
const OLD = "TIMESTAMP '0001-01-01 00:00:00+00'";

/** "Data types": times have the years 0001 to 9999, and no day has an hour 24. */
const RANGES: Record<string, readonly [from: string, to: string]> = {
  DATE: ["DATE '0001-01-01'", "DATE '9999-12-31'"],
  TIME: ["TIME '00:00:00'", "TIME '23:59:59.999999'"],
  TIMESTAMP: ["TIMESTAMPTZ '0001-01-01 00:00:00+00'", "TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'"],
};
const DUCKDB_TYPES: Record<string, string> = {
  ...{
    BOOL: 'BOOLEAN',
    INT64: 'BIGINT',
    FLOAT64: 'DOUBLE',
    DATE: 'DATE',
    TIME: 'TIME',
    TIMESTAMP: 'TIMESTAMPTZ',
  },
};

/**
 * How a value goes through the staging table. A decimal that NUMERIC does not hold and a JSON go as texts: so no file decides by
 * its own type what they become.
 */
export function stagedValue(value: string, type: string): Pick<StagedColumn, 'staged' | 'value' | 'misfit'> {
  const held = parseTableType(type);
  if (held?.kind === 'decimal') {
    const { precision, scale } = held;
    const exact = `CAST(${value} AS DECIMAL(${precision},${scale}))`;
    return type.startsWith('BIG')
      ? { staged: 'STRING', value: `CAST(${exact} AS VARCHAR)` }
      : { staged: 'NUMERIC', value: exact };
  }
  const range = RANGES[type];
  const own = DUCKDB_TYPES[type];
  if (own === undefined) return { staged: 'STRING', value: `CAST(${value} AS VARCHAR)` };
  const cast = `CAST(${value} AS ${own})`;
  if (range === undefined) return { staged: type, value: cast };
  const fits = `${cast} BETWEEN ${range[0]} AND ${range[1]}`;
  return { staged: type, value: `CASE WHEN ${fits} THEN ${cast} END`, misfit: `NOT (${fits})` };
}

/** Exact where BigQuery can hold every number so, else with the nearest double, else NULL: see `inexactSql`. */
const parsed = (name: string): string =>
  `COALESCE(SAFE.PARSE_JSON(${name}), SAFE.PARSE_JSON(${name}, wide_number_mode => 'round'))`;

export function castOf(name: string, type: string): string {
  if (type === 'JSON') return parsed(name);
  return type.startsWith('BIG') ? `PARSE_BIGNUMERIC(${name})` : name;
}

/** The staged values under names of their own, with the table's names and types. */
export function stagedColumns({ places }: Pick<LoadTable, 'places'>): StagedColumn[] {
  const fields = places.flatMap(({ field, column, fits }, at): StagedColumn[] => {
    if (column === undefined || !fits) return [];
    const name = `c${at}`;
    const through = stagedValue(quote(field.column), column.type);
    const cast = castOf(`s.${name}`, column.type);
    return [{ ...through, name, target: column.name, type: column.type, cast, field: field.name }];
  });
  return [...systemColumns(SYSTEM_COLUMNS.map(({ name }) => name)), ...fields];
}

export function systemColumns(names: readonly string[]): StagedColumn[] {
  return SYSTEM_COLUMNS.filter(({ name }) => names.includes(name)).map(({ name, type }) => {
    const through = name === '_hash' ? { staged: 'INT64', value: HASH_VALUE } : stagedValue(name, type);
    return { staged: through.staged, value: through.value, name, target: name, type, cast: `s.${name}` };
  });
}

/** Of a tombstone: key and times. */
export function goneColumns(table: LoadTable): StagedColumn[] {
  return [...systemColumns(['_version', '_confirmed_at']), keyColumn(table)];
}

export const KEY = 'k';

export function keyColumn({ keyName, keyType, stagedKey }: LoadTable): StagedColumn {
  const through = stagedValue(stagedKey, keyType);
  return { ...through, name: KEY, target: keyName, type: keyType, cast: castOf(`s.${KEY}`, keyType) };
}

/** The key among these columns, of the staging row `s`. */
export const stagedKeyOf = (table: LoadTable, columns: readonly StagedColumn[]): string =>
  columns.find(({ target }) => target === table.keyName)?.cast ?? `s.${KEY}`;

/** Of the staged rows: how many, and how many distinct keys; hashes are counted faster than texts. For DuckDB. */
export const inspectSql = (stagedKey: string, from: string): string =>
  `SELECT count(*) AS rows, count(DISTINCT hash(${stagedKey})) AS keys ${from}`;

/** a > b, part by part: BigQuery compares no tuples. */
export function later(pairs: readonly (readonly [string, string])[], orEqual = false): string {
  const [first, ...more] = pairs;
  if (first === undefined) return orEqual ? 'TRUE' : 'FALSE';
  const [a, b] = first;
  const rest = more.length === 0 && !orEqual ? '' : ` OR (${a} = ${b} AND ${later(more, orEqual)})`;
  return `(${a} > ${b}${rest})`;
}

const coalesced = (part: string, instead: string): readonly [string, string] => [
  `COALESCE(s.${part}, ${instead})`,
  `COALESCE(t.${part}, ${instead})`,
];
const TIMES = [coalesced('_version', OLD), coalesced('_confirmed_at', OLD)];
const ORDER = [...TIMES, coalesced('_deleted', 'FALSE'), coalesced('_hash', HASH_MIN)];

interface Plan {
  /** A temporary table. */
  name: string;
  staging: string;
  columns: readonly StagedColumn[];
}

/**
 * What becomes of each staged row. The whole order tuple decides, every part coalesced; a deletion wins against a row of the same
 * version and time. Equal content is unchanged: only its times move (`moves`), together, as one order tuple (I1).
 */
export function planRowsSql(table: LoadTable, plan: Plan): string {
  return planSql(table, plan, [
    `WHEN t.${table.key} IS NULL THEN 'insert'`,
    "WHEN t._hash = s._hash AND t._deleted = s._deleted THEN 'unchanged'",
    `WHEN ${later(ORDER)} THEN 'update'`,
  ]);
}

/** A tombstone has no content: against a live row of the same version and time it wins, against a deleted one nothing changes. */
export function planTombstonesSql(table: LoadTable, plan: Plan): string {
  return planSql(table, plan, [
    `WHEN t.${table.key} IS NULL THEN 'insert'`,
    "WHEN t._deleted THEN 'unchanged'",
    `WHEN ${later(TIMES, true)} THEN 'update'`,
  ]);
}

function planSql(table: LoadTable, { name, staging, columns }: Plan, cases: readonly string[]): string {
  const key = stagedKeyOf(table, columns);
  return [
    `CREATE OR REPLACE TEMP TABLE ${name} AS`,
    `SELECT ${key} AS k, CASE`,
    ...cases.map((line) => `  ${line}`),
    `  ELSE 'stale' END AS action, ${later(TIMES)} AS moves`,
    `FROM ${staging} AS s LEFT JOIN ${table.target} AS t ON t.${table.key} = ${key}`,
  ].join('\n');
}

/** Whole rows. A row that is unchanged gets its times only; columns that this load does not write keep their values. */
export function mergeSql(table: LoadTable, { name, staging, columns }: Plan, now: string): string {
  const named = columns.map(({ target, cast }) => ({ as: quoted(target), cast }));
  const set = named.filter(({ as }) => as !== table.key).map(({ as }) => `${as} = s.${as}`);
  const names = named.map(({ as }) => as);
  return [
    `MERGE INTO ${table.target} AS t USING (`,
    `  SELECT p.action AS hw_action, ${named.map(({ as, cast }) => `${cast} AS ${as}`).join(', ')}`,
    `  FROM ${staging} AS s JOIN ${name} AS p ON p.k = ${stagedKeyOf(table, columns)}`,
    "  WHERE p.action IN ('insert', 'update') OR (p.action = 'unchanged' AND p.moves)",
    `) AS s ON t.${table.key} = s.${table.key}`,
    `WHEN MATCHED AND s.hw_action = 'unchanged' THEN UPDATE SET _version = s._version, _confirmed_at = s._confirmed_at`,
    `WHEN MATCHED AND s.hw_action = 'update' THEN UPDATE SET ${set.join(', ')}, _loaded_at = ${moment(now)}`,
    `WHEN NOT MATCHED THEN INSERT (${names.join(', ')}, _loaded_at) VALUES (${names.map((as) => `s.${as}`).join(', ')}, ${moment(now)})`,
  ].join('\n');
}

/** The source's values stay under a tombstone. An unknown key gets a row of its own, or a late older update would revive it. */
export function mergeTombstonesSql(
  table: LoadTable,
  { name, staging, columns }: Plan,
  { window, now }: { window: string; now: string },
): string {
  const key = stagedKeyOf(table, columns);
  const times = '_version = s._version, _confirmed_at = s._confirmed_at';
  return [
    `MERGE INTO ${table.target} AS t USING (`,
    `  SELECT p.action AS hw_action, ${key} AS k, s._version, s._confirmed_at`,
    `  FROM ${staging} AS s JOIN ${name} AS p ON p.k = ${key}`,
    "  WHERE p.action IN ('insert', 'update') OR (p.action = 'unchanged' AND p.moves)",
    `) AS s ON t.${table.key} = s.k`,
    `WHEN MATCHED AND s.hw_action = 'unchanged' THEN UPDATE SET ${times}`,
    `WHEN MATCHED AND s.hw_action = 'update' THEN UPDATE SET _deleted = TRUE, ${times}, _window = ${text(window)}, _loaded_at = ${moment(now)}`,
    `WHEN NOT MATCHED THEN INSERT (${table.key}, _deleted, _version, _confirmed_at, _window, _loaded_at) VALUES (s.k, TRUE, s._version, s._confirmed_at, ${text(window)}, ${moment(now)})`,
  ].join('\n');
}

/** present, missing: staged keys that the table holds at a version at least as new. */
export function verifySql(table: LoadTable, staging: string, columns: readonly StagedColumn[]): string {
  return [
    'SELECT COUNTIF(t._version >= s._version) AS present,',
    '  COUNTIF(t._version IS NULL OR t._version < s._version) AS missing',
    `FROM ${staging} AS s LEFT JOIN ${table.target} AS t ON t.${table.key} = ${stagedKeyOf(table, columns)}`,
  ].join('\n');
}

/** Ends the script, and with it the transaction, with a word that `raised` finds. */
export const refuseSql = (condition: string, word: string): string =>
  `IF ${condition} THEN RAISE USING MESSAGE = 'headwater: ${word}'; END IF`;

export const planName = (table: LoadTable, request: LoadRequest, part: string): string =>
  `hw_${part}_${sha(table.target, request.window.id, request.batch.id).slice(0, 16)}`;

/** An expression of the rows of these plans with one of the actions. */
export const countOf = (plans: readonly string[], ...actions: string[]): string =>
  plans.length === 0
    ? '0'
    : plans
        .map(
          (name) =>
            `(SELECT COUNTIF(action IN (${actions.map((action) => `'${action}'`).join(', ')})) FROM ${name})`,
        )
        .join(' + ');

export type TallySql = Record<keyof Tally, string>;

export const JSON_REASON = 'BigQuery does not hold it exactly';

/** Values whose JSON has numbers with more digits than BigQuery keeps, or that is none by its rules. */
export function inexactSql(
  table: LoadTable,
  { staging, columns }: Omit<Plan, 'name'>,
  { batch, window }: LoadRequest,
  into: string,
  now: string,
): string[] {
  const key = stagedKeyOf(table, columns);
  return columns
    .filter(({ type }) => type === 'JSON')
    .map(({ name, field = '' }) => {
      const about = [batch.id, window.id, window.connection, window.object].map(text);
      return [
        `INSERT INTO ${into}`,
        `SELECT ${about.join(', ')}, CAST(${key} AS STRING), ${text(field)}, s.${name}, ${text(JSON_REASON)}, CAST(NULL AS STRING), ${moment(now)}, GENERATE_UUID()`,
        `FROM ${staging} AS s WHERE s.${name} IS NOT NULL AND SAFE.PARSE_JSON(s.${name}) IS NULL`,
      ].join('\n');
    });
}

const RANGE_REASON = (type: string): string => `BigQuery does not take it as ${type}`;

/** Lines of the quarantine that are made of staged rows, for DuckDB: values out of range, and fields that the policy keeps out. */
export function asideSelects(
  table: LoadTable,
  request: LoadRequest,
  columns: readonly StagedColumn[],
  keptOut: readonly string[],
  from: string,
): string[] {
  const record = `CAST(${table.stagedKey} AS VARCHAR)`;
  const line = (field: string, value: string, reason: string, where: string): string =>
    `SELECT ${record} AS record, ${literal(field)} AS field, CAST(${value} AS VARCHAR) AS value, ${literal(reason)} AS reason, CAST(NULL AS VARCHAR) AS raw ${from} WHERE ${where}`;
  const places = new Map(table.places.map(({ field }) => [field.name, quote(field.column)]));
  const misfits = columns.flatMap(({ field = '', misfit, type }) => {
    const value = places.get(field);
    return misfit === undefined || value === undefined
      ? []
      : [line(field, value, RANGE_REASON(type), misfit)];
  });
  const out = leftOut(table.places)
    .filter(({ field }) => keptOut.includes(field.name))
    .map(({ field }) => {
      const value = quote(field.column);
      return line(field.name, value, keptOutReason(request.schema.table), `${value} IS NOT NULL`);
    });
  return [...misfits, ...out];
}
