import type { ObjectSchema } from '../../schemas/object-schema.ts';
import { keyColumnOf } from '../batch-rules.ts';
import { nextVersion } from '../columns.ts';
import type { TableColumn } from '../columns.ts';
import { planChanges as plan } from '../evolution.ts';
import type { PlannedChange } from '../evolution.ts';
import type { EvolutionPolicy } from '../warehouse.ts';
import { columnName, datasetName, qualifiedName, quoted, tableName, text } from './names.ts';
import { canWiden, dialect, tableType } from './types.ts';

export const SYSTEM_COLUMNS: readonly TableColumn[] = [
  { name: '_deleted', type: 'BOOL' },
  { name: '_version', type: 'TIMESTAMP' },
  { name: '_confirmed_at', type: 'TIMESTAMP' },
  { name: '_hash', type: 'INT64' },
  { name: '_window', type: 'STRING' },
];

/** "Clustered tables": the types by which a table can be clustered. */
const CLUSTERS = /^(?:STRING|INT64|DATE|TIMESTAMP|BOOL|(?:BIG)?NUMERIC)/;

export interface Layout {
  prefix: string;
  /** Column by connection and table, see the configuration. */
  partitionBy: Readonly<Record<string, string>>;
}

/** Clustered by its key, by which every load joins; partitioned by month where the configuration names a column. */
export function createTableSql(layout: Layout, connection: string, schema: ObjectSchema): string {
  const columns = [
    ...schema.fields.map((field) => `${quoted(columnName(field.column))} ${tableType(field.type)}`),
    ...SYSTEM_COLUMNS.map(({ name, type }) => `${name} ${type}`),
    '_loaded_at TIMESTAMP',
  ];
  const by = layout.partitionBy[`${connection}.${schema.table}`];
  const partition = schema.fields.find(({ column }) => column === by);
  const key = schema.fields.find(({ column }) => column === keyColumnOf(schema));
  return [
    `CREATE TABLE IF NOT EXISTS ${targetName(layout.prefix, connection, schema.table)} (\n  ${columns.join(',\n  ')}\n)`,
    ...(partition === undefined
      ? []
      : partitionSql(quoted(columnName(partition.column)), partition.type.kind)),
    ...(key !== undefined && CLUSTERS.test(tableType(key.type))
      ? [`CLUSTER BY ${quoted(columnName(key.column))}`]
      : []),
    `OPTIONS (labels = [('app', 'headwater'), ('connection', ${text(connection)})])`,
  ].join('\n');
}

/** A month, since a table has at most 10,000 partitions and a statement may change 4,000. */
function partitionSql(column: string, kind: string): string[] {
  if (kind === 'date') return [`PARTITION BY DATE_TRUNC(${column}, MONTH)`];
  return kind === 'timestamp' ? [`PARTITION BY TIMESTAMP_TRUNC(${column}, MONTH)`] : [];
}

export const targetName = (prefix: string, connection: string, table: string): string =>
  qualifiedName(datasetName(prefix, connection), tableName(table));

/**
 * What the policy makes of the difference between the table and the description. Statements are made from what was decided,
 * since this dialect quotes names another way. What cannot be widened in place gets a column of its own, as another type does.
 */
export function planChanges(
  layout: Layout,
  connection: string,
  schema: ObjectSchema,
  columns: TableColumn[],
  policy: EvolutionPolicy,
): PlannedChange[] {
  const target = targetName(layout.prefix, connection, schema.table);
  const planned = plan(connection, schema, columns, policy, {
    ...dialect,
    target: () => target,
    createTable: (name, described) => [createTableSql(layout, name, described)],
    retype: () => '',
  });
  return planned.map((told) => {
    const change = widenedOrNew(told, schema, columns);
    const { column, after, action } = change;
    if (action !== 'applied' || column === null || after === null) return change;
    const sql =
      change.change === 'widen_type'
        ? `ALTER TABLE ${target} ALTER COLUMN ${quoted(column)} SET DATA TYPE ${after}`
        : `ALTER TABLE ${target} ADD COLUMN IF NOT EXISTS ${quoted(column)} ${after}`;
    return { ...change, sql: [sql] };
  });
}

function widenedOrNew(change: PlannedChange, schema: ObjectSchema, columns: TableColumn[]): PlannedChange {
  const { before, after, column } = change;
  if (change.change !== 'widen_type' || before === null || after === null || canWiden(before, after))
    return change;
  const base = column?.replace(/__v\d+$/, '');
  const field = schema.fields.find((one) => [column, base].includes(columnName(one.column)));
  if (field === undefined) return change;
  return {
    ...change,
    change: 'retype_column',
    column: nextVersion(field, schema.fields, columns, dialect),
    after: tableType(field.type),
  };
}
