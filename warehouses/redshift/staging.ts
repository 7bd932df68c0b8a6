import { randomUUID } from 'node:crypto';
import type { FieldType } from '../../schemas/object-schema.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { broughtPlaces } from '../batch-rules.ts';
import type { LoadTable } from '../batch-rules.ts';
import { literal, quote } from '../sql.ts';
import { PARQUET } from '../staged.ts';
import type { LoadRequest } from '../warehouse.ts';
import type { Client, Session } from './client.ts';
import { SYSTEM_COLUMNS } from './schema.ts';
import { parseTableType, TEXT, TEXT_BYTES_MAX, TIME } from './types.ts';

/** A column of the temporary table that staged rows are copied into. */
export interface StagedColumn {
  /** Plain, as the temporary table and the target have it. */
  name: string;
  /** Of the target. */
  type: string;
  /** Expression over a staged row, for DuckDB; of the type that COPY takes. */
  value: string;
  /** The same for a text that needs no change. */
  plain?: string;
  /** No staged value has to be changed or left out. */
  fits?: true;
  /** The source's own name, where a value that does not fit is set aside under it. */
  field?: string;
  /** Key and times: no row is without them, so one that does not fit fails the load. */
  needed?: true;
}

/** U+FFFD: Redshift has no NUL character in a text. */
const NUL = 'chr(0)';
const INSTEAD = 'chr(65533)';
/** The order of staged unsigned hashes, in a signed integer. */
const HASH_VALUE = 'CAST(CAST(_hash AS HUGEINT) - 9223372036854775808 AS BIGINT)';

export const TOO_LONG = `Redshift takes at most ${TEXT_BYTES_MAX} bytes; nothing was cut`;
export const NOT_TAKEN = 'Redshift does not take this value';
export const NO_NUL = 'Redshift has no NUL character; it was replaced';

const DUCKDB_TYPES: Record<Exclude<FieldType['kind'], 'decimal'>, string> = {
  ...{ string: 'VARCHAR', json: 'VARCHAR', boolean: 'BOOLEAN', integer: 'BIGINT', double: 'DOUBLE' },
  ...{ date: 'DATE', time: 'TIME', timestamp: 'TIMESTAMPTZ' },
};

const duckdbType = (type: string): string => {
  const kind = parseTableType(type);
  if (kind === undefined) return 'VARCHAR';
  return kind.kind === 'decimal' ? `DECIMAL(${kind.precision},${kind.scale})` : DUCKDB_TYPES[kind.kind];
};

const isText = (type: string): boolean => type === TEXT || type === 'super';

/** JSON is parsed by the server, and times of day have no type in Parquet that COPY reads. */
const stagedType = (type: string): string => (type === 'super' || type === TIME ? TEXT : type);

/** `value`, of any type, as the column takes it. For DuckDB. */
export const valueFor = (value: string, type: string): string =>
  isText(type)
    ? `replace(CAST(${value} AS VARCHAR), ${NUL}, ${INSTEAD})`
    : `CAST(${value} AS ${duckdbType(type)})`;

const expressions = (source: string, type: string): Pick<StagedColumn, 'value' | 'plain'> => ({
  value: valueFor(source, type),
  ...(isText(type) ? { plain: `CAST(${source} AS VARCHAR)` } : {}),
});

/** True for a value that the column does not take; undefined where it takes all. For DuckDB. */
export function misfit({ type, value }: Pick<StagedColumn, 'type' | 'value'>): string | undefined {
  if (isText(type)) return `strlen(${value}) > ${TEXT_BYTES_MAX}`;
  if (type === TIME) return `${value} >= TIME '24:00:00'`;
  if (type === 'date') return `${value} NOT BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'`;
  if (type === 'timestamp with time zone')
    return `${value} NOT BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00+00' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'`;
  return undefined;
}

/** What a statement writes of a staged row. JSON that the server does not read is NULL, and set aside. */
export function valueOf({ name, type }: Pick<StagedColumn, 'name' | 'type'>, alias: string): string {
  const value = `${alias}.${quote(name)}`;
  if (type === 'super') return `CASE WHEN CAN_JSON_PARSE(${value}) THEN JSON_PARSE(${value}) END`;
  return type === TIME ? `CAST(${value} AS ${TIME})` : value;
}

const systemColumns = (names: readonly string[]): StagedColumn[] =>
  SYSTEM_COLUMNS.filter(({ name }) => names.includes(name)).map(({ name, type }) => ({
    ...{ name, type, needed: true as const },
    ...(name === '_hash' ? { value: HASH_VALUE } : expressions(name, type)),
  }));

function columnsOf(table: LoadTable, system: readonly string[], places: LoadTable['places']): StagedColumn[] {
  const key: StagedColumn = {
    ...{ name: table.keyName, type: table.keyType, needed: true },
    ...expressions(table.stagedKey, table.keyType),
  };
  const fields = places.flatMap(({ field, column, fits }): StagedColumn[] =>
    column === undefined || !fits || column.name === table.keyName
      ? []
      : [
          {
            ...{ name: column.name, type: column.type, field: field.name },
            ...expressions(quote(field.column), column.type),
          },
        ],
  );
  return [key, ...systemColumns(system), ...fields];
}

/** Whole rows. */
export const rowColumns = (table: LoadTable): StagedColumn[] =>
  columnsOf(
    table,
    SYSTEM_COLUMNS.map(({ name }) => name),
    table.places,
  );

/** Key, version and confirmation alone: what a receipt, a tombstone and a comparison of keys need. */
export const keyColumns = (table: LoadTable, system: readonly string[]): StagedColumn[] =>
  columnsOf(table, system, []);

/** What a partial window brings. */
export const partialColumns = (request: LoadRequest, table: LoadTable): StagedColumn[] =>
  columnsOf(table, ['_deleted', '_version', '_confirmed_at'], broughtPlaces(request, table.places));

const parquet = (paths: readonly string[]): string => `read_parquet([${paths.map(literal).join(', ')}])`;

/**
 * Of the staged rows: how many, and how many distinct keys; hashes are counted faster than texts. And for each column whether a
 * value has to be changed or left out: one look at all of them is cheaper than a change of every value. For DuckDB.
 */
export function inspectSql(
  stagedKey: string,
  paths: readonly string[],
  columns: readonly StagedColumn[],
): string {
  const doubts = columns.flatMap((column, at) => {
    const doubt = doubtOf(column);
    return doubt === undefined ? [] : [`, bool_or(${doubt}) AS d${at}`];
  });
  return `SELECT count(*) AS rows, count(DISTINCT hash(${stagedKey})) AS keys${doubts.join('')} FROM ${parquet(paths)}`;
}

const doubtOf = (column: StagedColumn): string | undefined =>
  column.plain === undefined
    ? misfit(column)
    : `strlen(${column.plain}) > ${TEXT_BYTES_MAX} OR contains(${column.plain}, ${NUL})`;

/** `found`: what `inspectSql` gave for these columns. */
export const withoutDoubt = (
  columns: readonly StagedColumn[],
  found: Readonly<Record<string, unknown>>,
): StagedColumn[] =>
  columns.map((column, at) =>
    found[`d${at}`] === true ? column : { ...column, value: column.plain ?? column.value, fits: true },
  );

/** Values in the order of the table, as COPY takes them: by place, not by name. A value that its column does not take is left out. */
export function copiedSql(columns: readonly StagedColumn[], from: string): string {
  const values = columns.map((column, at) => {
    const wrong = column.needed || column.fits ? undefined : misfit(column);
    const value =
      wrong === undefined ? column.value : `CASE WHEN ${wrong} THEN NULL ELSE ${column.value} END`;
    return `${column.type === TIME ? `CAST(${value} AS VARCHAR)` : value} AS c${at}`;
  });
  return `SELECT ${values.join(', ')} FROM ${from}`;
}

/** For DuckDB. */
export const stagedSql = (columns: readonly StagedColumn[], paths: readonly string[]): string =>
  copiedSql(columns, parquet(paths));

/** Columns of a temporary table of lines for the quarantine, in the order of `asideValues`. */
export const ASIDE_COLUMNS: readonly Pick<StagedColumn, 'name' | 'type'>[] = [
  ...['batch', 'window', 'connection', 'object', 'record', 'field', 'value', 'reason', 'raw'].map((name) => ({
    ...{ name, type: TEXT },
  })),
  { name: 'quarantined_at', type: 'timestamp with time zone' },
  { name: 'id', type: TEXT },
];
const ASIDE = ASIDE_COLUMNS.map(({ name }) => quote(name)).join(', ');

/** From the temporary table of these lines. */
export const insertAsideSql = (table: string): string =>
  `INSERT INTO _headwater.quarantine (${ASIDE}) SELECT ${ASIDE} FROM ${quote(table)}`;

/** Expressions of one line of the quarantine. A value that is too long for it, too, is not kept there. For DuckDB. */
export function asideValues(
  { batch, window }: LoadRequest,
  line: { record: string; field: string; value: string; reason: string; raw: string; now: string },
): string {
  const words = (expression: string): string => valueFor(expression, TEXT);
  const short = (expression: string): string =>
    expression === 'NULL'
      ? 'CAST(NULL AS VARCHAR)'
      : `CASE WHEN strlen(${words(expression)}) <= ${TEXT_BYTES_MAX} THEN ${words(expression)} END`;
  const values = [
    ...[literal(batch.id), literal(window.id), literal(window.connection), literal(window.object)],
    ...[short(line.record), line.field, short(line.value), line.reason, short(line.raw)],
    `TIMESTAMPTZ ${literal(line.now)}`,
    'CAST(uuid() AS VARCHAR)',
  ];
  return values.map((value, at) => `${value} AS c${at}`).join(', ');
}

/** Lines for what `stagedSql` leaves out or changes. For DuckDB. */
export function leftOutSql(
  request: LoadRequest,
  table: LoadTable,
  columns: readonly StagedColumn[],
  { paths, now }: { paths: readonly string[]; now: string },
): string[] {
  return columns.flatMap((column) => {
    const { field, type, fits } = column;
    const wrong = fits ? undefined : misfit(column);
    if (field === undefined || wrong === undefined) return [];
    const staged = quote(table.places.find((one) => one.field.name === field)?.field.column ?? field);
    const line = { record: table.stagedKey, field: literal(field), value: staged, raw: 'NULL', now };
    const lines = (reason: string, where: string): string =>
      `SELECT ${asideValues(request, { ...line, reason: literal(reason) })} FROM ${parquet(paths)} WHERE ${where}`;
    if (!isText(type)) return [lines(NOT_TAKEN, wrong)];
    return [lines(TOO_LONG, wrong), lines(NO_NUL, `contains(CAST(${staged} AS VARCHAR), ${NUL})`)];
  });
}

/** A file in the bucket with rows in the order of a table; `url` is null where there are none. */
export interface Upload {
  url: string | null;
  rows: number;
}

export type Put = (sql: string) => Promise<Upload>;

/** Files that are in the bucket while `work` goes on, and gone afterwards. What a killed process leaves there, the next sweep removes. */
export async function withUploads<T>(
  { staged, bucket }: Client,
  work: (put: Put) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const sent: string[] = [];
  const put: Put = async (sql) => {
    signal?.throwIfAborted();
    const path = staged.temporary('parquet');
    try {
      const rows = await staged.run(`COPY (${sql}) TO ${literal(path)} (${PARQUET})`);
      if (rows === 0) return { url: null, rows };
      const key = await bucket.put(`${randomUUID()}.parquet`, path, signal);
      sent.push(key);
      return { url: bucket.url(key), rows };
    } finally {
      await staged.remove(path);
    }
  };
  try {
    return await work(put);
  } finally {
    // Best effort: a load that is done does not fail by what it leaves in the bucket.
    for (const key of sent) await bucket.remove(key).catch(() => undefined);
  }
}

export function createStagingSql(
  table: string,
  columns: readonly Pick<StagedColumn, 'name' | 'type'>[],
  distribution = '',
): string {
  const defined = columns.map(({ name, type }) => `${quote(name)} ${stagedType(type)}`);
  return `CREATE TEMP TABLE ${quote(table)} (${defined.join(', ')})${distribution}`;
}

/** "COPY from columnar data formats": columns by their order, no column list, no REGION. */
export const copySql = (table: string, url: string, role: string): string =>
  `COPY ${quote(table)} FROM ${literal(url)} IAM_ROLE ${role} FORMAT AS PARQUET STATUPDATE OFF`;

/** Makes a temporary table and fills it. I2: as many rows as were sent, or none of the load stays. */
export async function fill(
  session: Session,
  table: string,
  columns: readonly Pick<StagedColumn, 'name' | 'type'>[],
  { url, rows }: Upload,
  distribution = '',
): Promise<void> {
  await session.run(createStagingSql(table, columns, distribution));
  if (url === null) return;
  await session.run(copySql(table, url, session.role));
  const [copied] = await session.rows('SELECT pg_last_copy_count() AS rows');
  if (Number(copied?.['rows']) === rows) return;
  throw new HeadwaterError(
    'WAREHOUSE_UNAVAILABLE',
    `the server took ${String(copied?.['rows'])} of ${rows} staged rows`,
  );
}

export const dropSql = (table: string): string => `DROP TABLE IF EXISTS ${quote(table)}`;
