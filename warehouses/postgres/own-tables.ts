import { literal, quote } from '../sql.ts';
import type { OwnTable } from '../../schemas/own-table.ts';
import type { Session } from './client.ts';
import { isMisfit } from './errors.ts';
import { columnName, tableName } from './names.ts';
import { columnsOf, createSchemaSql } from './schema.ts';
import { createStagingSql, carefulSql } from './staging.ts';
import type { StagedColumn } from './staging.ts';
import { tableType } from './types.ts';

export const SCHEMA = 'golden';
const ROWS = 'own_rows';
const TEXTS = 'own_texts';

const target = (table: OwnTable): string => `${quote(SCHEMA)}.${quote(tableName(table.name))}`;
const columnOf = (name: string): string => quote(columnName(name));

/** NDJSON into one of Headwater's own tables: newer versions replace older ones; the same file twice changes nothing. */
export async function mergeOwnTable(session: Session, table: OwnTable, file: string): Promise<void> {
  await session.rows('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`headwater ${target(table)}`]);
  await createOwnTable(session, table);
  await stage(session, table, file);
  await session.run(mergeOwnSql(table));
  await session.run(`DROP TABLE ${ROWS}`);
}

/** Types as the shaper's, of which the file was written. */
const DUCKDB_TYPES = {
  ...{ string: 'VARCHAR', json: 'JSON', boolean: 'BOOLEAN', integer: 'BIGINT', double: 'DOUBLE' },
  ...{ date: 'DATE', time: 'TIME', timestamp: 'TIMESTAMPTZ' },
};

async function stage(session: Session, table: OwnTable, file: string): Promise<void> {
  const columns: StagedColumn[] = table.columns.map(({ name, type }) => ({
    name: columnName(name),
    type: tableType(type),
    value: quote(name),
  }));
  const types = table.columns.map(({ name, type }) => {
    const read =
      type.kind === 'decimal' ? `DECIMAL(${type.precision},${type.scale})` : DUCKDB_TYPES[type.kind];
    return `${literal(name)}: ${literal(read)}`;
  });
  const from = `FROM read_json(${literal(file)}, format = 'newline_delimited', columns = {${types.join(', ')}})`;
  const values = columns.map(({ value }) => value).join(', ');
  await session.run('SAVEPOINT own');
  try {
    await session.run(createStagingSql(ROWS, columns));
    await session.copyIn(ROWS, session.staged.csvOf(`SELECT ${values} ${from}`));
  } catch (error) {
    if (!isMisfit(error)) throw error;
    // The claims keep what Postgres has no place for; the analytical copy does without.
    await session.run('ROLLBACK TO SAVEPOINT own');
    const texts = columns.map((column) => ({ ...column, type: 'text' }));
    const clean = columns
      .map(({ value }) => `replace(CAST(${value} AS VARCHAR), chr(0), chr(65533))`)
      .join(', ');
    await session.run(createStagingSql(TEXTS, texts));
    await session.copyIn(TEXTS, session.staged.csvOf(`SELECT ${clean} ${from}`));
    await session.run(createStagingSql(ROWS, columns));
    await session.run(carefulSql(ROWS, TEXTS, columns));
    await session.run(`DROP TABLE ${TEXTS}`);
  }
  await session.run('RELEASE SAVEPOINT own');
}

export function mergeOwnSql(table: OwnTable): string {
  const names = table.columns.map(({ name }) => columnOf(name));
  const key = table.key.map(columnOf);
  const version = table.version === null ? null : columnOf(table.version);
  const order = [...key, ...(version === null ? [] : [`${version} DESC`])];
  const assign = names.filter((name) => !key.includes(name)).map((name) => `${name} = excluded.${name}`);
  const conflict =
    version === null
      ? 'DO NOTHING'
      : `DO UPDATE SET ${assign.join(', ')} WHERE excluded.${version} >= t.${version} OR excluded._epoch <> t._epoch`;
  return (
    `INSERT INTO ${target(table)} AS t (${names.join(', ')})\n` +
    `SELECT DISTINCT ON (${key.join(', ')}) ${names.join(', ')} FROM ${ROWS} ORDER BY ${order.join(', ')}\n` +
    `ON CONFLICT (${key.join(', ')}) ${conflict}`
  );
}

export async function dropOtherEpochs(
  session: Session,
  tables: readonly OwnTable[],
  epoch: string,
): Promise<void> {
  for (const table of tables) {
    if ((await columnsOf(session, SCHEMA, tableName(table.name))).length === 0) continue;
    await session.run(`DELETE FROM ${target(table)} WHERE _epoch IS DISTINCT FROM $1`, [epoch]);
  }
}

/** Makes what is not there yet: schema, table, columns that an entity has gained, the view with `valid_to`. */
async function createOwnTable(session: Session, table: OwnTable): Promise<void> {
  const known = new Set((await columnsOf(session, SCHEMA, tableName(table.name))).map(({ name }) => name));
  const missing = table.columns.filter(({ name }) => !known.has(columnName(name)));
  if (missing.length === 0) return;
  const defined = missing.map(({ name, type }) => `${columnOf(name)} ${tableType(type)}`);
  if (known.size === 0) {
    await session.run(createSchemaSql(SCHEMA));
    await session.run(`CREATE TABLE ${target(table)} (${defined.join(', ')})`);
    await session.run(`CREATE UNIQUE INDEX ON ${target(table)} (${table.key.map(columnOf).join(', ')})`);
  } else {
    await session.run(
      `ALTER TABLE ${target(table)} ${defined.map((column) => `ADD COLUMN ${column}`).join(', ')}`,
    );
  }
  await createHistory(session, table);
}

/** A view keeps the order of its columns for ever: those that an entity has gained come last. */
async function createHistory(session: Session, table: OwnTable): Promise<void> {
  if (table.history === undefined) return;
  const { view, of, from, order } = table.history;
  const next = `lead(${columnOf(from)}) OVER (PARTITION BY ${columnOf(of)} ORDER BY ${columnOf(order)})`;
  const added: Record<string, string> = {
    valid_from: columnOf(from),
    valid_to: next,
    current: `${next} IS NULL`,
  };
  const own = (await columnsOf(session, SCHEMA, tableName(table.name))).map(({ name }) => name);
  const held = (await columnsOf(session, SCHEMA, tableName(view))).map(({ name }) => name);
  const names = [...new Set([...held, ...own, ...Object.keys(added)])];
  const columns = names.map((name) => `${added[name] ?? quote(name)} AS ${quote(name)}`);
  await session.run(
    `CREATE OR REPLACE VIEW ${quote(SCHEMA)}.${quote(tableName(view))} AS SELECT ${columns.join(', ')} FROM ${target(table)}`,
  );
}
