import type { DuckDBConnection } from '@duckdb/node-api';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { TableColumn } from '../columns.ts';
import { planChanges as plan } from '../evolution.ts';
import type { PlannedChange, TableDialect } from '../evolution.ts';
import { qualified, quote } from '../sql.ts';
import type { EvolutionPolicy } from '../warehouse.ts';
import { rowsOf } from './client.ts';
import { dialect, tableType } from './types.ts';

export async function tableColumns(
  connection: DuckDBConnection,
  schema: string,
  table: string,
): Promise<TableColumn[]> {
  const rows = await rowsOf(
    connection,
    'SELECT column_name,data_type FROM duckdb_columns() WHERE database_name=current_database() ' +
      'AND lower(schema_name)=lower($1) AND lower(table_name)=lower($2) ORDER BY column_index',
    [schema, table],
  );
  return rows.map((row) => ({ name: String(row['column_name']), type: String(row['data_type']) }));
}

/** No primary key: it would make bulk merges two to four times slower, and every load dedupes by itself. */
export function createTableSql(connection: string, schema: ObjectSchema): string[] {
  const columns = [
    ...schema.fields.map((field) => `${quote(field.column)} ${tableType(field.type)}`),
    ...[
      '_deleted BOOLEAN',
      '_version TIMESTAMPTZ',
      '_confirmed_at TIMESTAMPTZ',
      '_hash UBIGINT',
      '_window VARCHAR',
      '_loaded_at TIMESTAMPTZ',
    ],
  ];
  return [
    `CREATE SCHEMA IF NOT EXISTS ${quote(connection)}`,
    `CREATE TABLE ${qualified(connection, schema.table)} (\n  ${columns.join(',\n  ')}\n)`,
  ];
}

const tables: TableDialect = {
  ...dialect,
  target: qualified,
  createTable: createTableSql,
  retype: (column, type) => `${column} SET DATA TYPE ${type}`,
};

/** What the policy makes of the difference between the table and the description. */
export const planChanges = (
  connection: string,
  schema: ObjectSchema,
  columns: TableColumn[],
  policy: EvolutionPolicy,
): PlannedChange[] => plan(connection, schema, columns, policy, tables);
