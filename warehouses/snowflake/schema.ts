import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { FactRow } from '../batch-rules.ts';
import type { TableColumn } from '../columns.ts';
import { planChanges as plan } from '../evolution.ts';
import type { PlannedChange } from '../evolution.ts';
import { quote } from '../sql.ts';
import type { EvolutionPolicy } from '../warehouse.ts';
import type { Session } from './client.ts';
import { columnName, lockName, schemaName, tableName, targetName } from './names.ts';
import { dialect, tableType } from './types.ts';

/** Beside the fields; `_loaded_at` is each load's own. */
export const SYSTEM_COLUMNS: readonly TableColumn[] = [
  { name: '_DELETED', type: 'BOOLEAN' },
  { name: '_VERSION', type: 'TIMESTAMP_TZ' },
  { name: '_CONFIRMED_AT', type: 'TIMESTAMP_TZ' },
  { name: '_HASH', type: 'NUMBER(19,0)' },
  { name: '_WINDOW', type: 'TEXT' },
];

const catalogType = (row: FactRow): string =>
  row['data_type'] === 'NUMBER'
    ? `NUMBER(${String(row['numeric_precision'])},${String(row['numeric_scale'])})`
    : String(row['data_type']);

/** The columns of a table as the catalog has them; none where it is not there. Names as the catalog writes them. */
export async function columnsOf(session: Session, schema: string, table: string): Promise<TableColumn[]> {
  const rows = await session.rows(
    'SELECT column_name, data_type, numeric_precision, numeric_scale FROM INFORMATION_SCHEMA.COLUMNS ' +
      'WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position',
    [schema, table],
  );
  return rows.map((row) => ({ name: String(row['column_name']), type: catalogType(row) }));
}

export const tableColumns = (session: Session, connection: string, table: string): Promise<TableColumn[]> =>
  columnsOf(session, schemaName(session.prefix, connection), tableName(table));

export const createSchemaSql = (schema: string): string => `CREATE SCHEMA IF NOT EXISTS ${quote(schema)}`;

/** One row, made with its table: two processes that start at once make one. */
export const createLockSql = (target: string): string =>
  `CREATE TABLE IF NOT EXISTS ${lockName(target)} AS SELECT 0 AS "N"`;

/** Whoever changes this row first goes first; the other waits until the transaction has ended. */
export const lockSql = (target: string): string => `UPDATE ${lockName(target)} SET "N" = 1 - "N"`;

export function createTableSql(prefix: string, connection: string, schema: ObjectSchema): string[] {
  const columns = [
    ...schema.fields.map((field) => `${quote(columnName(field.column))} ${tableType(field.type)}`),
    ...SYSTEM_COLUMNS.map(({ name, type }) => `${quote(name)} ${type}`),
    '"_LOADED_AT" TIMESTAMP_TZ',
  ];
  const target = targetName(prefix, connection, schema.table);
  return [
    createSchemaSql(schemaName(prefix, connection)),
    createLockSql(target),
    `CREATE TABLE IF NOT EXISTS ${target} (\n  ${columns.join(',\n  ')}\n)`,
  ];
}

const WIDE = '__WIDE';
const NARROW = '__NARROW';

/**
 * Snowflake gives a number more digits in place, but never another scale, and no other type. Then the values are copied into a
 * column that takes the old one's name. The old one is renamed first: whoever writes meanwhile fails, and no value is lost.
 */
function widenSql(target: string, column: TableColumn, type: string): string[] {
  const scale = /,(\d+)\)$/;
  const same = scale.exec(column.type)?.[1];
  if (same !== undefined && same === scale.exec(type)?.[1])
    return [`ALTER TABLE ${target} ALTER COLUMN ${quote(column.name)} SET DATA TYPE ${type}`];
  return [
    `ALTER TABLE ${target} ADD COLUMN ${quote(column.name + WIDE)} ${type}`,
    `ALTER TABLE ${target} RENAME COLUMN ${quote(column.name)} TO ${quote(column.name + NARROW)}`,
    ...finish(target, column.name),
  ];
}

const finish = (target: string, name: string): string[] => [
  `UPDATE ${target} SET ${quote(name + WIDE)} = ${quote(name + NARROW)}`,
  `ALTER TABLE ${target} RENAME COLUMN ${quote(name + WIDE)} TO ${quote(name)}`,
  `ALTER TABLE ${target} DROP COLUMN ${quote(name + NARROW)}`,
];

/** What a process that ended in the middle of a widening left to do. */
export function leftOverSql(target: string, columns: readonly TableColumn[]): string[] {
  const names = new Set(columns.map(({ name }) => name));
  return columns.flatMap(({ name }) => {
    if (name.endsWith(NARROW)) {
      const plain = name.slice(0, -NARROW.length);
      return names.has(plain) ? finish(target, plain).slice(2) : finish(target, plain);
    }
    const plain = name.slice(0, -WIDE.length);
    return name.endsWith(WIDE) && names.has(plain) && !names.has(plain + NARROW)
      ? [`ALTER TABLE ${target} DROP COLUMN ${quote(name)}`]
      : [];
  });
}

/** What the policy makes of the difference between the table and the description. */
export const planChanges = (
  prefix: string,
  connection: string,
  schema: ObjectSchema,
  columns: TableColumn[],
  policy: EvolutionPolicy,
): PlannedChange[] =>
  plan(connection, schema, columns, policy, {
    ...dialect,
    target: (name, table) => targetName(prefix, name, table),
    createTable: (name, described) => createTableSql(prefix, name, described),
    widen: widenSql,
  });
