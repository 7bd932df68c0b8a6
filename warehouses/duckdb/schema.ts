import type { DuckDBConnection } from '@duckdb/node-api';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { EvolutionMode, EvolutionPolicy, SchemaChange } from '../warehouse.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { qualified, quote } from '../sql.ts';
import { rowsOf } from './client.ts';
import { nextVersion, parseTableType, placeFields, tableType, widened } from './types.ts';
import type { Place, TableColumn } from './types.ts';

export interface PlannedChange extends SchemaChange {
  policy: EvolutionMode;
  /** Statements that make it so; none where the policy leaves the table alone. */
  sql: string[];
}

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

/**
 * What the policy makes of the difference between the table and the description. Values are never lost:
 * - a new column: evolve adds it, discard leaves its values out, quarantine sets its values aside at every load.
 * - a column that is described no more: stays with its values; new rows have NULL there and updates do not touch it.
 * - another type: evolve widens in place where every value of both fits (more digits, text); otherwise the old column stays
 *   as it is and `<column>__v2` takes the values from now on. discard and quarantine treat the field as a new column.
 * freeze refuses any of them with SCHEMA_FROZEN, and nothing is changed. A missing table is made by evolve only.
 */
export function planChanges(
  connection: string,
  schema: ObjectSchema,
  columns: TableColumn[],
  policy: EvolutionPolicy,
): PlannedChange[] {
  const table = schema.table;
  if (columns.length === 0) {
    const change = {
      table,
      column: null,
      change: 'create_table',
      before: null,
      after: schema.hash,
      policy: policy.tables,
    } as const;
    refuseFrozen(connection, change);
    if (policy.tables !== 'evolve') return [{ ...change, action: 'ignored', sql: [] }];
    return [{ ...change, action: 'applied', sql: createTableSql(connection, schema) }];
  }
  const target = qualified(connection, table);
  const places = placeFields(schema.fields, columns);
  const changes = places.flatMap((place) => fieldChange(place, { schema, columns, policy, target }));
  const used = new Set(
    places
      .flatMap((place) => [place.field.column, place.column?.name ?? ''])
      .map((name) => name.toLowerCase()),
  );
  for (const column of columns) {
    const name = column.name.toLowerCase();
    const original = name.replace(/__v\d+$/, '');
    if (name.startsWith('_') || used.has(name) || used.has(original)) continue;
    const removed = {
      table,
      column: column.name,
      change: 'remove_column',
      before: column.type,
      after: null,
    } as const;
    changes.push({ ...removed, action: 'kept', policy: policy.columns, sql: [] });
  }
  for (const change of changes) refuseFrozen(connection, change);
  return changes;
}

interface Around {
  schema: ObjectSchema;
  columns: TableColumn[];
  policy: EvolutionPolicy;
  target: string;
}

function fieldChange(place: Place, { schema, columns, policy, target }: Around): PlannedChange[] {
  if (place.fits) return [];
  const { field, column } = place;
  const after = tableType(field.type);
  const base = { table: schema.table, column: field.column, before: column?.type ?? null, after };
  if (column === undefined) {
    const add = `ALTER TABLE ${target} ADD COLUMN ${quote(field.column)} ${after}`;
    const mode = policy.columns;
    return [
      {
        ...base,
        change: 'add_column',
        action: mode === 'evolve' ? 'applied' : 'ignored',
        policy: mode,
        sql: mode === 'evolve' ? [add] : [],
      },
    ];
  }
  const mode = policy.types;
  const held = parseTableType(column.type);
  const wide = held === undefined ? undefined : widened(held, field.type);
  if (mode !== 'evolve')
    return [{ ...base, change: 'retype_column', action: 'ignored', policy: mode, sql: [] }];
  if (wide !== undefined) {
    const widen = `ALTER TABLE ${target} ALTER COLUMN ${quote(column.name)} SET DATA TYPE ${tableType(wide)}`;
    return [
      {
        ...base,
        column: column.name,
        after: tableType(wide),
        change: 'widen_type',
        action: 'applied',
        policy: mode,
        sql: [widen],
      },
    ];
  }
  const next = nextVersion(field, schema.fields, columns);
  const add = `ALTER TABLE ${target} ADD COLUMN ${quote(next)} ${after}`;
  return [{ ...base, column: next, change: 'retype_column', action: 'applied', policy: mode, sql: [add] }];
}

function refuseFrozen(
  connection: string,
  change: Omit<SchemaChange, 'action'> & { policy: EvolutionMode },
): void {
  if (change.policy !== 'freeze') return;
  const where = [connection, change.table, change.column].filter((part) => part !== null).join('.');
  throw new HeadwaterError(
    'SCHEMA_FROZEN',
    `${where}: ${change.change.replace('_', ' ')} (${change.before ?? 'none'} to ${change.after ?? 'none'})`,
    {
      details: { connection, table: change.table, column: change.column, change: change.change },
    },
  );
}
