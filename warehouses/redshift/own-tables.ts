import type { OwnTable } from '../../schemas/own-table.ts';
import { literal, quote } from '../sql.ts';
import type { Client, Session } from './client.ts';
import { columnName, tableName } from './names.ts';
import { columnsOf, ensureSchema } from './schema.ts';
import { copiedSql, dropSql, fill, valueFor, valueOf, withUploads } from './staging.ts';
import type { StagedColumn, Upload } from './staging.ts';
import { tableType } from './types.ts';

export const SCHEMA = 'golden';
/** Temporary tables. */
export const ROWS = '_headwater_rows';
export const NEWEST = '_headwater_newest';

const bare = (table: OwnTable): string => quote(tableName(table.name));
const target = (table: OwnTable): string => `${quote(SCHEMA)}.${bare(table)}`;
const columnOf = (name: string): string => quote(columnName(name));

/** Types as the shaper's, of which the file was written. */
const READ_TYPES = {
  ...{ string: 'VARCHAR', json: 'JSON', boolean: 'BOOLEAN', integer: 'BIGINT', double: 'DOUBLE' },
  ...{ date: 'DATE', time: 'TIME', timestamp: 'TIMESTAMPTZ' },
};

/** NDJSON into Headwater's own tables, all in one transaction: newer versions replace older ones; the same file twice changes nothing. */
export async function mergeOwnTables(
  client: Client,
  files: readonly { table: OwnTable; file: string }[],
  signal: AbortSignal,
): Promise<void> {
  await withUploads(
    client,
    async (put) => {
      const sent: { table: OwnTable; upload: Upload }[] = [];
      for (const { table, file } of files) sent.push({ table, upload: await put(readSql(table, file)) });
      await client.write(
        'merging golden tables',
        async (session) => {
          for (const { table, upload } of sent) await mergeOwnTable(session, table, upload);
        },
        { signal },
      );
    },
    signal,
  );
}

async function mergeOwnTable(session: Session, table: OwnTable, upload: Upload): Promise<void> {
  await createOwnTable(session, table);
  if (upload.rows === 0) return;
  await fill(session, ROWS, stagedColumns(table), upload);
  for (const sql of mergeOwnSql(table)) await session.run(sql);
  await session.run(dropSql(NEWEST));
  await session.run(dropSql(ROWS));
}

export const stagedColumns = (table: OwnTable): StagedColumn[] =>
  table.columns.map(({ name, type }) => ({
    name: columnName(name),
    type: tableType(type),
    value: valueFor(quote(name), tableType(type)),
  }));

/** The claims keep what Redshift has no place for; the analytical copy does without. For DuckDB. */
export function readSql(table: OwnTable, file: string): string {
  const types = table.columns.map(({ name, type }) => {
    const read = type.kind === 'decimal' ? `DECIMAL(${type.precision},${type.scale})` : READ_TYPES[type.kind];
    return `${literal(name)}: ${literal(read)}`;
  });
  const from = `read_json(${literal(file)}, format = 'newline_delimited', columns = {${types.join(', ')}})`;
  return copiedSql(stagedColumns(table), from);
}

/** The newest staged row of each key that is newer than the table's, then what it replaces goes, then it comes. */
export function mergeOwnSql(table: OwnTable): string[] {
  const columns = stagedColumns(table);
  const names = columns.map(({ name }) => quote(name));
  const key = table.key.map(columnOf);
  const version = table.version === null ? null : columnOf(table.version);
  const same = (mine: string, theirs: string): string =>
    key.map((column) => `${mine}.${column} = ${theirs}.${column}`).join(' AND ');
  const wins = [
    `t.${key[0] ?? ''} IS NULL`,
    ...(version === null ? [] : [`r.${version} >= t.${version}`, 'r._epoch <> t._epoch']),
  ];
  const newest = [
    `CREATE TEMP TABLE ${NEWEST} AS`,
    `SELECT ${names.map((name) => `r.${name}`).join(', ')} FROM (`,
    `  SELECT ${names.join(', ')}, ROW_NUMBER() OVER (PARTITION BY ${key.join(', ')} ORDER BY ${version === null ? key.join(', ') : `${version} DESC`}) AS _nth FROM ${ROWS}`,
    `) AS r LEFT JOIN ${target(table)} AS t ON ${same('t', 'r')}`,
    `WHERE r._nth = 1 AND (${wins.join(' OR ')})`,
  ].join('\n');
  const remove = `DELETE FROM ${target(table)} USING ${NEWEST} WHERE ${same(bare(table), NEWEST)}`;
  const insert = `INSERT INTO ${target(table)} (${names.join(', ')})\nSELECT ${columns.map((column) => valueOf(column, 'n')).join(', ')} FROM ${NEWEST} AS n`;
  return version === null ? [newest, insert] : [newest, remove, insert];
}

export async function dropOtherEpochs(
  session: Session,
  tables: readonly OwnTable[],
  epoch: string,
): Promise<void> {
  for (const table of tables) {
    if ((await columnsOf(session, SCHEMA, tableName(table.name))).length === 0) continue;
    await session.run(`DELETE FROM ${target(table)} WHERE _epoch IS NULL OR _epoch <> $1`, [epoch]);
  }
}

/** Makes what is not there yet: schema, table, columns that an entity has gained, the view with `valid_to`. */
async function createOwnTable(session: Session, table: OwnTable): Promise<void> {
  const known = new Set((await columnsOf(session, SCHEMA, tableName(table.name))).map(({ name }) => name));
  const missing = table.columns.filter(({ name }) => !known.has(columnName(name)));
  if (missing.length === 0) return;
  if (known.size === 0) {
    await ensureSchema(session, SCHEMA);
    await session.run(createOwnSql(table));
  } else {
    for (const { name, type } of missing)
      await session.run(`ALTER TABLE ${target(table)} ADD COLUMN ${columnOf(name)} ${tableType(type)}`);
  }
  if (table.history === undefined) return;
  // A view that is replaced keeps its columns, so one that gains some is made anew.
  await session.run(`DROP VIEW IF EXISTS ${quote(SCHEMA)}.${quote(tableName(table.history.view))}`);
  await session.run(historySql(table, table.history));
}

/** Lookups and merges go by the first column of the key: its rows lie together. */
export function createOwnSql(table: OwnTable): string {
  const defined = table.columns.map(({ name, type }) => `${columnOf(name)} ${tableType(type)}`);
  const key = columnOf(table.key[0] ?? '');
  return `CREATE TABLE ${target(table)} (${defined.join(', ')}) DISTSTYLE KEY DISTKEY (${key}) COMPOUND SORTKEY (${key})`;
}

export function historySql(
  table: OwnTable,
  { view, of, from, order }: NonNullable<OwnTable['history']>,
): string {
  const next = `LEAD(${columnOf(from)}) OVER (PARTITION BY ${columnOf(of)} ORDER BY ${columnOf(order)})`;
  return (
    `CREATE VIEW ${quote(SCHEMA)}.${quote(tableName(view))} AS SELECT *, ${columnOf(from)} AS valid_from, ` +
    `${next} AS valid_to, ${next} IS NULL AS "current" FROM ${target(table)}`
  );
}
