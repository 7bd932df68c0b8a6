import type { ObjectSchema } from '../../schemas/object-schema.ts';
import { keyColumnOf } from '../batch-rules.ts';
import type { TableColumn } from '../columns.ts';
import { planChanges as plan } from '../evolution.ts';
import type { PlannedChange } from '../evolution.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { quote } from '../sql.ts';
import type { EvolutionPolicy } from '../warehouse.ts';
import type { Session } from './client.ts';
import type { PostgresConfig } from './config.ts';
import { columnName, schemaName, tableName, targetName } from './names.ts';
import { dialect, tableType } from './types.ts';

export const SYSTEM_COLUMNS: readonly TableColumn[] = [
  { name: '_deleted', type: 'boolean' },
  { name: '_version', type: 'timestamp with time zone' },
  { name: '_confirmed_at', type: 'timestamp with time zone' },
  { name: '_hash', type: 'bigint' },
  { name: '_window', type: 'text' },
];

/** The columns of a table as the catalog has them; none where it is not there. */
export async function columnsOf(session: Session, schema: string, table: string): Promise<TableColumn[]> {
  const rows = await session.rows(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attnum`,
    [schema, table],
  );
  return rows.map((row) => ({ name: String(row['name']), type: String(row['type']) }));
}

export const tableColumns = (session: Session, connection: string, table: string): Promise<TableColumn[]> =>
  columnsOf(session, schemaName(session.prefix, connection), tableName(table));

/** CREATE SCHEMA IF NOT EXISTS asks for a right on the database even where the schema exists. */
export const createSchemaSql = (schema: string): string =>
  `DO $do$ BEGIN IF to_regnamespace(${textLiteral(quote(schema))}) IS NULL THEN CREATE SCHEMA ${quote(schema)}; END IF; END $do$`;

const textLiteral = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** `ON CONFLICT` needs the unique index; a key of a later version may stand in another column, so it is no primary key. */
export const keyIndexSql = (target: string, key: string): string =>
  `CREATE UNIQUE INDEX ON ${target} (${key})`;

/** How tables are made: the configuration's prefix and partitions. */
export type Layout = Pick<PostgresConfig, 'schemaPrefix' | 'partitions'>;

export function createTableSql(layout: Layout, connection: string, schema: ObjectSchema): string[] {
  const prefix = layout.schemaPrefix;
  const columns = [
    ...schema.fields.map((field) => `${quote(columnName(field.column))} ${tableType(field.type)}`),
    ...SYSTEM_COLUMNS.map(({ name, type }) => `${name} ${type}`),
    '_loaded_at timestamp with time zone',
  ];
  const key = keyColumnOf(schema);
  const target = targetName(prefix, connection, schema.table);
  return [
    createSchemaSql(schemaName(prefix, connection)),
    ...tableSql(target, columns, partitionsOf(layout, connection, schema)),
    keyIndexSql(target, quote(columnName(key))),
    `CREATE INDEX ON ${target} (_version)`,
  ];
}

interface Partitions {
  key: string;
  tables: string[];
}

/**
 * By a hash of the key: `ON CONFLICT` wants a unique index over the key alone, and Postgres makes one only of columns that the rows
 * are parted by (its manual, 5.12.2.3). Such a column keeps its type for ever, which only a text can promise.
 */
function partitionsOf(
  { schemaPrefix, partitions }: Layout,
  connection: string,
  schema: ObjectSchema,
): Partitions | undefined {
  const name = `${connection}.${schema.table}`;
  const count = partitions[name];
  if (count === undefined) return undefined;
  const key = keyColumnOf(schema);
  const type = schema.fields.find(({ column }) => column === key)?.type.kind;
  if (type !== 'string')
    throw new HeadwaterError('CONFIG_INVALID', `warehouse.partitions: the key ${key} of ${name} is no text`, {
      remedy: `Take ${name} out of warehouse.partitions: the type of its key may still change.`,
    });
  const tables = Array.from({ length: count }, (_, at) =>
    targetName(schemaPrefix, connection, `${schema.table}__p${at}`),
  );
  return { key: quote(columnName(key)), tables };
}

function tableSql(target: string, columns: readonly string[], partitions: Partitions | undefined): string[] {
  const create = `CREATE TABLE ${target} (\n  ${columns.join(',\n  ')}\n)`;
  if (partitions === undefined) return [create];
  const { key, tables } = partitions;
  return [
    `${create} PARTITION BY HASH (${key})`,
    ...tables.map(
      (table, at) =>
        `CREATE TABLE ${table} PARTITION OF ${target} FOR VALUES WITH (MODULUS ${tables.length}, REMAINDER ${at})`,
    ),
  ];
}

/** What the policy makes of the difference between the table and the description. */
export const planChanges = (
  layout: Layout,
  connection: string,
  schema: ObjectSchema,
  columns: TableColumn[],
  policy: EvolutionPolicy,
): PlannedChange[] =>
  plan(connection, schema, columns, policy, {
    ...dialect,
    target: (name, table) => targetName(layout.schemaPrefix, name, table),
    createTable: (name, described) => createTableSql(layout, name, described),
    retype: (column, type) => `${column} SET DATA TYPE ${type} USING ${column}::${type}`,
  });

/** Unique indexes over this column alone, qualified and quoted. */
export async function keyIndexes(session: Session, target: string, key: string): Promise<string[]> {
  const rows = await session.rows(
    `SELECT i.indexrelid::regclass::text AS name FROM pg_index i
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
     WHERE i.indrelid = $1::regclass AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL AND i.indisvalid
       AND a.attname = $2`,
    [target, key.slice(1, -1).replaceAll('""', '"')],
  );
  return rows.map((row) => String(row['name']));
}
