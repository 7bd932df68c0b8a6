import type { LoadRequest } from '../warehouse.ts';
import { QUARANTINE_COLUMNS } from '../fact-rows.ts';
import { literal, quote } from '../sql.ts';
import type { Session } from './client.ts';
import { isMisfit } from './errors.ts';

/** A column of the temporary table that staged rows are copied into. */
export interface StagedColumn {
  /** Plain, as the temporary table has it. */
  name: string;
  type: string;
  /** Expression over a staged row, for DuckDB. */
  value: string;
  /** The source's own name, where a value that the type does not take is to be set aside under it. */
  field?: string;
}

/** Where values are set aside that Postgres cannot hold: absent where rows are only compared. */
export interface SetAside {
  request: LoadRequest;
  /** Plain name of the key's column in the temporary table. */
  key: string;
  now: string;
}

/** U+FFFD: Postgres has no NUL character in a text. */
const NUL = 'chr(0)';
const INSTEAD = 'chr(65533)';

/** The order of staged unsigned hashes, in a signed integer: Postgres has no unsigned one. */
export const HASH_VALUE = 'CAST(CAST(_hash AS HUGEINT) - 9223372036854775808 AS BIGINT)';

export const NO_NUL_REASON = 'Postgres has no NUL character; it was replaced';
const notTaken = (type: string): string => `Postgres does not take it as ${type}`;

/**
 * Copies staged rows into a temporary table, typed as the target: gone with the transaction, never in the write-ahead log, seen
 * by nobody else. Nearly every batch is copied as it is. One with a value that Postgres cannot hold is copied once more as texts,
 * and such a value is set aside and left out (NUL is replaced), so that one value never stops a batch.
 */
export async function stageRows(
  session: Session,
  table: string,
  columns: readonly StagedColumn[],
  paths: readonly string[],
  aside?: SetAside,
): Promise<number> {
  await session.run('SAVEPOINT staging');
  try {
    await session.run(createStagingSql(table, columns));
    const rows = await session.copyIn(quote(table), session.staged.csv(paths, selectOf(columns)));
    await session.run('RELEASE SAVEPOINT staging');
    return rows;
  } catch (error) {
    if (!isMisfit(error)) throw error;
  }
  await session.run('ROLLBACK TO SAVEPOINT staging');
  return stageCarefully(session, table, columns, paths, aside);
}

export const selectOf = (columns: readonly StagedColumn[]): string =>
  columns.map(({ value }) => value).join(', ');

export function createStagingSql(table: string, columns: readonly StagedColumn[]): string {
  const defined = columns.map(({ name, type }) => `${quote(name)} ${type}`);
  return `CREATE TEMP TABLE ${quote(table)} (${defined.join(', ')}) ON COMMIT DROP`;
}

/** Times before the year 1 are written another way. */
function textOf({ type, value }: StagedColumn): string {
  const text = `CAST(${value} AS VARCHAR)`;
  if (type === 'text' || type === 'json') return `replace(${text}, ${NUL}, ${INSTEAD})`;
  if (!/^(?:date|timestamp)/.test(type)) return text;
  return `regexp_replace(${text}, '^(\\S+) \\(BC\\)(.*)$', '\\1\\2 BC')`;
}

async function stageCarefully(
  session: Session,
  table: string,
  columns: readonly StagedColumn[],
  paths: readonly string[],
  aside: SetAside | undefined,
): Promise<number> {
  const texts = `${table}_texts`;
  const asText = columns.map((column) => ({ ...column, type: 'text', value: textOf(column) }));
  await session.run(createStagingSql(texts, asText));
  const rows = await session.copyIn(quote(texts), session.staged.csv(paths, selectOf(asText)));
  if (aside !== undefined) {
    for (const column of columns) {
      if (column.field === undefined) continue;
      await setMisfitsAside(session, texts, column, aside);
      if (column.type === 'text') await setNulsAside(session, column, columns, paths, aside);
    }
  }
  await session.run(createStagingSql(table, columns));
  await session.run(carefulSql(table, texts, columns));
  await session.run(`DROP TABLE ${quote(texts)}`);
  return rows;
}

export function carefulSql(table: string, texts: string, columns: readonly StagedColumn[]): string {
  const values = columns.map(({ name, type }) =>
    type === 'text'
      ? quote(name)
      : `CASE WHEN pg_input_is_valid(${quote(name)}, ${literal(type)}) THEN CAST(${quote(name)} AS ${type}) END`,
  );
  return `INSERT INTO ${quote(table)} SELECT ${values.join(', ')} FROM ${quote(texts)}`;
}

async function setMisfitsAside(
  session: Session,
  texts: string,
  { name, type, field = '' }: StagedColumn,
  { request: { batch, window }, key, now }: SetAside,
): Promise<void> {
  if (type === 'text') return;
  await session.run(
    `INSERT INTO _headwater.quarantine ${QUARANTINE_COLUMNS}
SELECT $2, $3, $4, $5, ${quote(key)}, $6, ${quote(name)}, $7, NULL, $1::timestamptz
FROM ${quote(texts)} WHERE ${quote(name)} IS NOT NULL AND NOT pg_input_is_valid(${quote(name)}, ${literal(type)})`,
    [now, batch.id, window.id, window.connection, window.object, field, notTaken(type)],
  );
}

async function setNulsAside(
  session: Session,
  { value, field = '' }: StagedColumn,
  columns: readonly StagedColumn[],
  paths: readonly string[],
  { request, key, now }: SetAside,
): Promise<void> {
  const keyValue = columns.find(({ name }) => name === key)?.value ?? 'NULL';
  const list = paths.map(literal).join(', ');
  const rows =
    `SELECT ${asideValues(request, { record: keyValue, field: literal(field), value, reason: literal(NO_NUL_REASON), raw: 'NULL', now })} ` +
    `FROM read_parquet([${list}]) WHERE contains(CAST(${value} AS VARCHAR), ${NUL})`;
  await session.copyIn(`_headwater.quarantine ${QUARANTINE_COLUMNS}`, session.staged.csvOf(rows));
}

/** Expressions for DuckDB, of one line of the quarantine. */
export function asideValues(
  { batch, window }: LoadRequest,
  line: { record: string; field: string; value: string; reason: string; raw: string; now: string },
): string {
  const text = (expression: string): string => `replace(CAST(${expression} AS VARCHAR), ${NUL}, ${INSTEAD})`;
  const about = [batch.id, window.id, window.connection, window.object].map(literal);
  return [
    ...[...about, text(line.record), line.field, text(line.value), line.reason, text(line.raw)],
    literal(line.now),
  ].join(', ');
}
