import type { ObjectSchema } from '../schemas/object-schema.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { nextVersion, placeFields, widened } from './columns.ts';
import type { Dialect, Place, TableColumn } from './columns.ts';
import { quote } from './sql.ts';
import type { EvolutionMode, EvolutionPolicy, SchemaChange } from './warehouse.ts';

/** How one warehouse makes and changes the table of an object. */
export interface TableDialect extends Dialect {
  /** Quoted and with its schema. */
  target(connection: string, table: string): string;
  createTable(connection: string, schema: ObjectSchema): string[];
  /** What follows ALTER COLUMN to give the quoted column a wider type. */
  retype?(column: string, type: string): string;
  /** The same where it takes more than that: whole statements. */
  widen?(target: string, column: TableColumn, type: string): string[];
}

export interface PlannedChange extends SchemaChange {
  policy: EvolutionMode;
  /** Statements that make it so; none where the policy leaves the table alone. */
  sql: string[];
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
  tables: TableDialect,
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
    return [{ ...change, action: 'applied', sql: tables.createTable(connection, schema) }];
  }
  const target = tables.target(connection, table);
  const places = placeFields(schema.fields, columns, tables);
  const changes = places.flatMap((place) => fieldChange(place, { schema, columns, policy, target, tables }));
  const used = new Set(
    places
      .flatMap((place) => [tables.nameOf(place.field.column, 1), place.column?.name ?? ''])
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
  tables: TableDialect;
}

function fieldChange(place: Place, { schema, columns, policy, target, tables }: Around): PlannedChange[] {
  if (place.fits) return [];
  const { field, column } = place;
  const after = tables.tableType(field.type);
  const plain = tables.nameOf(field.column, 1);
  const base = { table: schema.table, column: plain, before: column?.type ?? null, after };
  if (column === undefined) {
    const add = `ALTER TABLE ${target} ADD COLUMN ${quote(plain)} ${after}`;
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
  const held = tables.parseTableType(column.type);
  const wide = held === undefined ? undefined : widened(held, field.type);
  if (mode !== 'evolve')
    return [{ ...base, change: 'retype_column', action: 'ignored', policy: mode, sql: [] }];
  if (wide !== undefined) {
    const type = tables.tableType(wide);
    const sql = widenSql(tables, target, column, type);
    return [
      {
        ...base,
        column: column.name,
        after: type,
        change: 'widen_type',
        action: 'applied',
        policy: mode,
        sql,
      },
    ];
  }
  const next = nextVersion(field, schema.fields, columns, tables);
  const add = `ALTER TABLE ${target} ADD COLUMN ${quote(next)} ${after}`;
  return [{ ...base, column: next, change: 'retype_column', action: 'applied', policy: mode, sql: [add] }];
}

function widenSql(tables: TableDialect, target: string, column: TableColumn, type: string): string[] {
  if (tables.widen !== undefined) return tables.widen(target, column, type);
  return [`ALTER TABLE ${target} ALTER COLUMN ${tables.retype?.(quote(column.name), type) ?? ''}`];
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
