import type { OwnTable } from '../../schemas/own-table.ts';
import { literal, quote } from '../sql.ts';
import type { Session } from './client.ts';
import { columnName, GOLDEN, tableName } from './names.ts';
import { columnsOf, createLockSql, createSchemaSql, lockSql } from './schema.ts';
import { typedValues, withStaging } from './staging.ts';
import type { StagedColumn } from './staging.ts';
import { tableType } from './types.ts';

const target = (table: OwnTable): string => `${quote(GOLDEN)}.${quote(tableName(table.name))}`;
const columnOf = (name: string): string => quote(columnName(name));

/** Types as the shaper's, of which the file was written. */
const READ_TYPES = {
  ...{ string: 'VARCHAR', json: 'JSON', boolean: 'BOOLEAN', integer: 'BIGINT', double: 'DOUBLE' },
  ...{ date: 'DATE', time: 'TIME', timestamp: 'TIMESTAMPTZ' },
};

/** NDJSON into Headwater's own tables, all in one transaction: newer versions replace older ones; the same file twice changes nothing. */
export async function mergeOwnTables(
  session: Session,
  files: readonly { table: OwnTable; file: string }[],
): Promise<void> {
  await withStaging(session, async (staging) => {
    const merges: { table: OwnTable; sql: string }[] = [];
    for (const { table, file } of files) {
      await createOwnTable(session, table);
      const columns = stagedColumns(table);
      const filled = await staging.fill(columns, stagedSql(table, columns, file));
      if (filled.rows > 0) merges.push({ table, sql: mergeOwnSql(table, columns, filled.table) });
    }
    await session.atomically(async () => {
      for (const { table, sql } of merges) {
        await session.run(lockSql(target(table)));
        await session.run(sql);
      }
    });
  });
}

export const stagedColumns = (table: OwnTable): StagedColumn[] =>
  table.columns.map(({ name, type }, at) => {
    const columnType = tableType(type);
    const asText = columnType === 'VARIANT' || columnType === 'TIME';
    return {
      ...{ name: `C${at}`, type: asText ? 'TEXT' : columnType, column: columnName(name), columnType },
      value: asText ? `CAST(${quote(name)} AS VARCHAR)` : quote(name),
    };
  });

function stagedSql(table: OwnTable, columns: readonly StagedColumn[], file: string): string {
  const values = columns.map(({ name, value }) => `${value} AS ${quote(name)}`);
  const types = table.columns.map(({ name, type }) => {
    const read = type.kind === 'decimal' ? `DECIMAL(${type.precision},${type.scale})` : READ_TYPES[type.kind];
    return `${literal(name)}: ${literal(read)}`;
  });
  return `SELECT ${values.join(', ')} FROM read_json(${literal(file)}, format = 'newline_delimited', columns = {${types.join(', ')}})`;
}

export function mergeOwnSql(table: OwnTable, columns: readonly StagedColumn[], rows: string): string {
  const staged = (name: string): string =>
    columns.find(({ column }) => column === columnName(name))?.name ?? '';
  const names = columns.map(({ column }) => quote(column));
  const values = columns.map(({ name }) => `s.${quote(name)}`);
  const key = table.key.map((name) => `r.${quote(staged(name))}`);
  const same = table.key.map((name) => `t.${columnOf(name)} = s.${quote(staged(name))}`).join(' AND ');
  const keys = new Set(table.key.map(columnOf));
  const set = names.flatMap((name, at) => (keys.has(name) ? [] : [`${name} = ${values[at]}`]));
  const { version } = table;
  const order = version === null ? key.join(', ') : `r.${quote(staged(version))} DESC`;
  const update =
    version === null
      ? []
      : [
          `WHEN MATCHED AND (s.${quote(staged(version))} >= t.${columnOf(version)} OR s.${quote(staged('_epoch'))} <> t."_EPOCH") THEN UPDATE SET ${set.join(', ')}`,
        ];
  return [
    `MERGE INTO ${target(table)} AS t USING (`,
    `  SELECT ${typedValues(columns, 'r')} FROM ${rows} AS r QUALIFY ROW_NUMBER() OVER (PARTITION BY ${key.join(', ')} ORDER BY ${order}) = 1`,
    `) AS s ON ${same}`,
    ...update,
    `WHEN NOT MATCHED THEN INSERT (${names.join(', ')}) VALUES (${values.join(', ')})`,
  ].join('\n');
}

export function dropOtherEpochs(session: Session, tables: readonly OwnTable[], epoch: string): Promise<void> {
  return session.atomically(async () => {
    for (const table of tables) {
      if ((await columnsOf(session, GOLDEN, tableName(table.name))).length === 0) continue;
      await session.run(`DELETE FROM ${target(table)} WHERE "_EPOCH" IS DISTINCT FROM ?`, [epoch]);
    }
  });
}

/** Makes what is not there yet: schema, table, columns that an entity has gained, the view with `valid_to`. */
async function createOwnTable(session: Session, table: OwnTable): Promise<void> {
  const known = new Set((await columnsOf(session, GOLDEN, tableName(table.name))).map(({ name }) => name));
  const missing = table.columns.filter(({ name }) => !known.has(columnName(name)));
  if (missing.length === 0) return;
  const defined = missing.map(({ name, type }) => `${columnOf(name)} ${tableType(type)}`);
  if (known.size === 0) {
    await session.run(createSchemaSql(GOLDEN));
    await session.run(createLockSql(target(table)));
    await session.run(`CREATE TABLE IF NOT EXISTS ${target(table)} (${defined.join(', ')})`);
  } else {
    for (const column of defined) await session.run(`ALTER TABLE ${target(table)} ADD COLUMN ${column}`);
  }
  if (table.history !== undefined) await session.run(historySql(table, table.history));
}

export function historySql(
  table: OwnTable,
  { view, of, from, order }: NonNullable<OwnTable['history']>,
): string {
  const next = `LEAD(${columnOf(from)}) OVER (PARTITION BY ${columnOf(of)} ORDER BY ${columnOf(order)})`;
  return (
    `CREATE OR REPLACE VIEW ${quote(GOLDEN)}.${quote(tableName(view))} AS SELECT *, ${columnOf(from)} AS "VALID_FROM", ` +
    `${next} AS "VALID_TO", ${next} IS NULL AS "CURRENT" FROM ${target(table)}`
  );
}
