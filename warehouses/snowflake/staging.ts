import { randomUUID } from 'node:crypto';
import type { FieldType } from '../../schemas/object-schema.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { broughtPlaces } from '../batch-rules.ts';
import type { LoadTable } from '../batch-rules.ts';
import { literal, quote } from '../sql.ts';
import { PARQUET } from '../staged.ts';
import type { LoadRequest } from '../warehouse.ts';
import type { Session } from './client.ts';
import { STAGE_FOLDER } from './external-stage.ts';
import { text } from './names.ts';
import { SYSTEM_COLUMNS } from './schema.ts';
import { parseTableType } from './types.ts';

/** A column of the staging table of a load: a value of each staged row. */
export interface StagedColumn {
  /** Plain, as the staging table has it. Fields are counted: their own names may be anything. */
  name: string;
  type: string;
  /** Expression over a staged row, for DuckDB. */
  value: string;
  /** The column of the target, plain, and its type. */
  column: string;
  columnType: string;
  /** The source's own name, where a value that does not fit is set aside under it; with the column of the staged file, plain. */
  field?: string;
  staged?: string;
}

/** "Summary of data types": of a text, in bytes. */
const TEXT_BYTES_MAX = 16 * 1024 * 1024;
/** The order of staged unsigned hashes, in a signed integer. */
const HASH_VALUE = 'CAST(CAST(_hash AS HUGEINT) - 9223372036854775808 AS BIGINT)';
export const NOT_TAKEN = 'Snowflake does not take this value';

const DUCKDB_TYPES: Record<Exclude<FieldType['kind'], 'decimal'>, string> = {
  ...{ string: 'VARCHAR', json: 'VARCHAR', boolean: 'BOOLEAN', integer: 'BIGINT', double: 'DOUBLE' },
  ...{ date: 'DATE', time: 'VARCHAR', timestamp: 'TIMESTAMPTZ' },
};

const duckdbType = (type: FieldType): string =>
  type.kind === 'decimal' ? `DECIMAL(${type.precision},${type.scale})` : DUCKDB_TYPES[type.kind];

/** JSON and times of day go as text: a Parquet file has no type for them that the server surely reads as such. */
const stagedType = (columnType: string): string =>
  columnType === 'VARIANT' || columnType === 'TIME' ? 'TEXT' : columnType;

const asColumn = (value: string, columnType: string): string => {
  const type = parseTableType(columnType);
  return type === undefined ? value : `CAST(${value} AS ${duckdbType(type)})`;
};

/** What a merge writes of a staged row. */
export function valueOf({ name, columnType }: StagedColumn, alias: string): string {
  const value = `${alias}.${quote(name)}`;
  if (columnType === 'VARIANT') return `TRY_PARSE_JSON(${value})`;
  return columnType === 'TIME' ? `CAST(${value} AS TIME)` : value;
}

/** Every staged value as its target takes it, under the name of the staging table. */
export const typedValues = (columns: readonly StagedColumn[], alias: string): string =>
  columns.map((column) => `${valueOf(column, alias)} AS ${quote(column.name)}`).join(', ');

const systemColumns = (names: readonly string[]): StagedColumn[] =>
  SYSTEM_COLUMNS.filter(({ name }) => names.includes(name)).map(({ name, type }) => ({
    ...{ name, type, column: name, columnType: type },
    value: name === '_HASH' ? HASH_VALUE : quote(name.toLowerCase()),
  }));

const keyColumn = ({ keyName, keyType, stagedKey }: LoadTable): StagedColumn => ({
  ...{ name: 'K', type: stagedType(keyType), column: keyName, columnType: keyType },
  value: asColumn(stagedKey, keyType),
});

/** The key, these columns of every staged row, and the given fields. */
function columnsOf(table: LoadTable, system: readonly string[], places: LoadTable['places']): StagedColumn[] {
  const fields = places.flatMap(({ field, column, fits }, at): StagedColumn[] =>
    column === undefined || !fits || column.name === table.keyName
      ? []
      : [
          {
            ...{ name: `C${at}`, type: stagedType(column.type), column: column.name },
            ...{ columnType: column.type, field: field.name },
            ...{ staged: field.column, value: asColumn(quote(field.column), column.type) },
          },
        ],
  );
  return [keyColumn(table), ...systemColumns(system), ...fields];
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
  columnsOf(table, ['_DELETED', '_VERSION', '_CONFIRMED_AT'], broughtPlaces(request, table.places));

export const isText = (columnType: string): boolean => columnType === 'TEXT' || columnType === 'VARIANT';

/** True for a value that the column does not take; undefined where it takes all. For DuckDB. */
function misfit({ columnType, value }: StagedColumn): string | undefined {
  if (isText(columnType)) return `strlen(${value}) > ${TEXT_BYTES_MAX}`;
  if (columnType === 'DATE') return `${value} NOT BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'`;
  if (columnType === 'TIMESTAMP_TZ')
    return `${value} NOT BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00+00' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'`;
  return undefined;
}

const parquet = (paths: readonly string[]): string => `read_parquet([${paths.map(literal).join(', ')}])`;

const misfits = (
  columns: readonly StagedColumn[],
): { column: StagedColumn; field: string; wrong: string }[] =>
  columns.flatMap((column) => {
    const wrong = column.field === undefined ? undefined : misfit(column);
    return wrong === undefined || column.field === undefined ? [] : [{ column, field: column.field, wrong }];
  });

/**
 * Of the staged rows: how many, how many distinct keys (hashes are counted faster than texts), and how many have a value that its
 * column does not take. For DuckDB.
 */
export function inspectSql(
  stagedKey: string,
  columns: readonly StagedColumn[],
  paths: readonly string[],
): string {
  const wrong = ['FALSE', ...misfits(columns).map((one) => one.wrong)].join(' OR ');
  return (
    `SELECT count(*) AS rows, count(DISTINCT hash(${stagedKey})) AS keys, count(*) FILTER (WHERE ${wrong}) AS misfits ` +
    `FROM ${parquet(paths)}`
  );
}

/** Columns whose values of a row group, all together, are longer than one may be: no other has one that is too long. For DuckDB. */
export const longColumnsSql = (paths: readonly string[]): string =>
  `SELECT DISTINCT path_in_schema AS name FROM parquet_metadata([${paths.map(literal).join(', ')}]) WHERE total_uncompressed_size > ${TEXT_BYTES_MAX}`;

/** Staged rows under the names of the staging table; `careful`: without values that their column does not take. For DuckDB. */
export function stagedSql(
  columns: readonly StagedColumn[],
  paths: readonly string[],
  careful = false,
): string {
  const wrong = new Map(careful ? misfits(columns).map((one) => [one.column, one.wrong]) : []);
  const values = columns.map((column) => {
    const when = wrong.get(column);
    const value = when === undefined ? column.value : `CASE WHEN ${when} THEN NULL ELSE ${column.value} END`;
    return `${value} AS ${quote(column.name)}`;
  });
  return `SELECT ${values.join(', ')} FROM ${parquet(paths)}`;
}

/** Lines of the quarantine for what a careful `stagedSql` leaves out. For DuckDB. */
export const leftOutSql = (
  request: LoadRequest,
  table: LoadTable,
  columns: readonly StagedColumn[],
  { paths, now }: { paths: readonly string[]; now: string },
): string[] =>
  misfits(columns).map(({ column: { columnType, value }, field, wrong }) => {
    const line = {
      ...{ record: table.stagedKey, field: literal(field), raw: 'NULL', now },
      // A text that is too long is too long for the quarantine, too.
      value: columnType === 'DATE' || columnType === 'TIMESTAMP_TZ' ? value : 'NULL',
      reason: literal(NOT_TAKEN),
    };
    return `SELECT ${asideValues(request, line)} FROM ${parquet(paths)} WHERE ${wrong}`;
  });

/** Expressions of one line of the quarantine, under the names of its columns. For DuckDB. */
export function asideValues(
  { batch, window }: LoadRequest,
  line: { record: string; field: string; value: string; reason: string; raw: string; now: string },
): string {
  const words = (expression: string): string => `CAST(${expression} AS VARCHAR)`;
  const values = {
    ...{ BATCH: literal(batch.id), WINDOW: literal(window.id) },
    ...{ CONNECTION: literal(window.connection), OBJECT: literal(window.object) },
    ...{ RECORD: words(line.record), FIELD: line.field, VALUE: words(line.value) },
    ...{ REASON: line.reason, RAW: words(line.raw), QUARANTINED_AT: `TIMESTAMPTZ ${literal(line.now)}` },
    ID: 'CAST(uuid() AS VARCHAR)',
  };
  return Object.entries(values)
    .map(([name, value]) => `${value} AS ${quote(name)}`)
    .join(', ');
}

/** What a load put beside its target, removed whatever happens. */
export interface Staging {
  /**
   * Makes a table of its own, filled with the rows of a statement for DuckDB, which gives the columns these names. A transient one
   * keeps no history that would be paid for.
   */
  fill(columns: readonly { name: string; type: string }[], sql: string): Promise<Filled>;
}

/** Quoted and qualified, with the number of its rows. */
export interface Filled {
  table: string;
  rows: number;
}

/** Tables of one piece of work, which are gone when it ends. What a killed process leaves behind, the next sweep removes. */
export async function withStaging<T>(
  session: Session,
  work: (staging: Staging) => Promise<T>,
  schema = '_HEADWATER',
): Promise<T> {
  const made: string[] = [];
  const fill: Staging['fill'] = async (columns, sql) => {
    const table = `${quote(schema)}."LOAD_${randomUUID().replaceAll('-', '').toUpperCase()}"`;
    made.push(table);
    await session.run(createStagingSql(table, columns));
    return { table, rows: await upload(session, { schema, table, sql }) };
  };
  try {
    return await work({ fill });
  } finally {
    // Stopped work is not undone by the signal that stopped it.
    for (const name of made) await session.discard(`DROP TABLE IF EXISTS ${name}`);
  }
}

export const createStagingSql = (table: string, columns: readonly { name: string; type: string }[]): string =>
  `CREATE TRANSIENT TABLE ${table} (${columns.map(({ name, type }) => `${quote(name)} ${type}`).join(', ')}) DATA_RETENTION_TIME_IN_DAYS = 0`;

/** "PUT", "COPY INTO <table>". `purge`: the server removes the file from the stage once its rows are in the table. */
export const putSql = (path: string, stage: string, folder: string): string =>
  `PUT ${text(`file://${path}`)} @${stage}/${folder} AUTO_COMPRESS = FALSE`;

export const copySql = (table: string, stage: string, folder: string, purge = true): string =>
  `COPY INTO ${table} FROM @${stage}/${folder}/ FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) ` +
  `MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE ON_ERROR = ABORT_STATEMENT PURGE = ${purge ? 'TRUE' : 'FALSE'}`;

async function upload(
  session: Session,
  { schema, table, sql }: { schema: string; table: string; sql: string },
): Promise<number> {
  const { staged, bucket, signal } = session;
  let sent: string | undefined;
  const path = staged.temporary('parquet');
  try {
    const rows = await staged.run(`COPY (${sql}) TO ${literal(path)} (${PARQUET})`);
    if (rows === 0) return 0;
    const stage = session.stage ?? `${schema}.LOADS`;
    if (session.stage === undefined) await session.once(`CREATE TEMPORARY STAGE IF NOT EXISTS ${stage}`);
    const name = randomUUID();
    const folder = `${STAGE_FOLDER}${name}`;
    if (bucket === undefined) await session.run(putSql(path, stage, folder));
    else sent = await bucket.put(`${name}/rows.parquet`, path, signal);
    const copied = await session.rows(copySql(table, stage, folder, bucket === undefined));
    const landed = copied.reduce((sum, row) => sum + Number(row['rows_loaded'] ?? 0), 0);
    // I2: whatever else the server may do with a file, each of its rows is there once.
    if (landed === rows) return rows;
    throw new HeadwaterError('WAREHOUSE_UNAVAILABLE', `the server took ${landed} of ${rows} staged rows`);
  } finally {
    await staged.remove(path);
    // A load that is done does not fail by what it leaves in the bucket: the sweep finds it.
    if (sent !== undefined) await bucket?.remove(sent).catch(() => undefined);
  }
}
