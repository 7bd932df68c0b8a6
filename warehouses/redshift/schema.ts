import type { ObjectSchema } from '../../schemas/object-schema.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { keyColumnOf } from '../batch-rules.ts';
import { placeFields } from './types.ts';
import type { TableColumn } from '../columns.ts';
import { planChanges as plan } from '../evolution.ts';
import type { PlannedChange } from '../evolution.ts';
import { quote } from '../sql.ts';
import type { EvolutionPolicy } from '../warehouse.ts';
import type { Session } from './client.ts';
import { columnName, schemaName, tableName, targetName } from './names.ts';
import { dialect, tableType, TEXT, widenedValue } from './types.ts';

/** Beside the fields; `_loaded_at` is each load's own. */
export const SYSTEM_COLUMNS: readonly TableColumn[] = [
  { name: '_deleted', type: 'boolean' },
  { name: '_version', type: 'timestamp with time zone' },
  { name: '_confirmed_at', type: 'timestamp with time zone' },
  { name: '_hash', type: 'bigint' },
  { name: '_window', type: TEXT },
];

/** The columns of a table as the catalog has them; none where it is not there. */
export async function columnsOf(
  session: Pick<Session, 'rows'>,
  schema: string,
  table: string,
): Promise<TableColumn[]> {
  const rows = await session.rows(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
     FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attnum`,
    [schema, table],
  );
  return rows.map((row) => ({ name: String(row['name']), type: String(row['type']) }));
}

export const tableColumns = (session: Session, connection: string, table: string): Promise<TableColumn[]> =>
  columnsOf(session, schemaName(session.prefix, connection), tableName(table));

/** CREATE SCHEMA IF NOT EXISTS asks for a right on the database even where the schema exists. */
export async function ensureSchema(session: Session, schema: string): Promise<void> {
  const found = await session.rows('SELECT 1 AS there FROM pg_namespace WHERE nspname = $1', [schema]);
  if (found.length === 0) await session.run(`CREATE SCHEMA ${quote(schema)}`);
}

/** Rows of one key lie on one slice, as staged rows do: joins move nothing. */
export const distributedBy = (key: string): string => ` DISTSTYLE KEY DISTKEY (${key})`;

export function createTableSql(prefix: string, connection: string, schema: ObjectSchema): string {
  const columns = [
    ...schema.fields.map((field) => `${quote(columnName(field.column))} ${tableType(field.type)}`),
    ...SYSTEM_COLUMNS.map(({ name, type }) => `${quote(name)} ${type}`),
    '"_loaded_at" timestamp with time zone',
  ];
  const key = quote(columnName(keyColumnOf(schema)));
  return `CREATE TABLE ${targetName(prefix, connection, schema.table)} (\n  ${columns.join(',\n  ')}\n)${distributedBy(key)} COMPOUND SORTKEY ("_version")`;
}

/** Names that begin with _ are ours, so no field has it. */
const WIDE = quote('_wide');

/** No column but a text changes its type in place: the values move into another one, in the same transaction. */
export function widenSql(target: string, { name, type }: TableColumn, to: string): string[] {
  const column = quote(name);
  return [
    `ALTER TABLE ${target} ADD COLUMN ${WIDE} ${to}`,
    `UPDATE ${target} SET ${WIDE} = ${widenedValue(column, type, to)}`,
    `ALTER TABLE ${target} DROP COLUMN ${column}`,
    `ALTER TABLE ${target} RENAME COLUMN ${WIDE} TO ${column}`,
  ];
}

/** What the policy makes of the difference between the table and the description. */
export function planChanges(
  prefix: string,
  connection: string,
  schema: ObjectSchema,
  columns: TableColumn[],
  policy: EvolutionPolicy,
): PlannedChange[] {
  const key = placeFields(schema.fields, columns).find(({ field }) => field.name === schema.key)?.column
    ?.name;
  return plan(connection, schema, columns, policy, {
    ...dialect,
    target: (name, table) => targetName(prefix, name, table),
    createTable: (name, described) => [createTableSql(prefix, name, described)],
    widen: (target, column, type) => {
      if (column.name !== key) return widenSql(target, column, type);
      // Rows are spread by the key: its column cannot be dropped.
      throw new HeadwaterError('WAREHOUSE_REJECTED', `${target}: the key ${column.name} became wider`, {
        remedy: 'Rename the table, then run a first load of the object: it makes the table anew.',
      });
    },
  });
}
