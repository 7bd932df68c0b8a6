import type { DuckDBConnection } from '@duckdb/node-api';
import type { QueryAnswer } from '../warehouse.ts';
import type { HeadwaterError } from '../../rules/errors.ts';
import {
  checkLength,
  exportFormat,
  inBrackets,
  QUERY_MS_MAX,
  refusedQuery,
  tooLong,
} from '../query-rules.ts';
import { literal } from '../sql.ts';
import { rowsOf } from './client.ts';

/** The only table functions that a reader may call: none of them reaches a file, the network or a setting. */
const TABLE_FUNCTIONS = new Set([
  ...['range', 'generate_series', 'unnest', 'repeat', 'json_each', 'json_tree'],
  ...[
    'duckdb_tables',
    'duckdb_columns',
    'duckdb_views',
    'duckdb_schemas',
    'duckdb_types',
    'pragma_table_info',
  ],
]);
const SCALAR_FUNCTIONS_REFUSED = new Set([
  'getenv',
  'nextval',
  'currval',
  'current_setting',
  'write_log',
  'getvariable',
]);
const FROM_NODES = new Set([
  'BASE_TABLE',
  'SUBQUERY',
  'JOIN',
  'TABLE_FUNCTION',
  'EXPRESSION_LIST',
  'EMPTY',
  'EMPTY_FROM',
  'PIVOT',
]);

/**
 * Refuses everything but one SELECT over tables of the catalog. The embedded database must keep its access to files for
 * loading, so a reader is kept from them here: by DuckDB's own syntax tree, with lists of what is allowed. The text after
 * FROM that names no table or CTE would be opened as a file, and is therefore refused.
 */
export async function checkReadOnly(connection: DuckDBConnection, sql: string): Promise<void> {
  checkLength(sql);
  const [row] = await rowsOf(connection, 'SELECT json_serialize_sql($1::VARCHAR)::VARCHAR AS tree', [sql]);
  const tree: unknown = JSON.parse(String(row?.['tree']));
  if (!isRecord(tree) || tree['error'] !== false) {
    const message =
      isRecord(tree) && typeof tree['error_message'] === 'string'
        ? tree['error_message']
        : 'it cannot be parsed';
    throw refused(message.split('\n', 1)[0] ?? message);
  }
  const statements = Array.isArray(tree['statements']) ? tree['statements'] : [];
  if (statements.length !== 1) throw refused('exactly one statement is expected');
  const known = new Set<string>();
  const catalog =
    "SELECT schema_name AS s,table_name AS t FROM duckdb_tables() UNION ALL SELECT schema_name,view_name FROM duckdb_views() UNION ALL SELECT 'information_schema',unnest(['tables','columns','schemata'])";
  for (const { s, t } of await rowsOf(connection, catalog)) {
    known.add(`${String(s)}.${String(t)}`.toLowerCase());
    known.add(`.${String(t)}`.toLowerCase());
  }
  checkNode(statements[0], { known, ctes: new Set(cteNames(statements[0])) });
}

interface Names {
  known: Set<string>;
  ctes: Set<string>;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const children = (node: unknown): unknown[] =>
  Array.isArray(node) ? node : isRecord(node) ? Object.values(node) : [];

/** A CTE's name is a plain word: one with a point could stand for a file outside of its scope. */
function cteNames(node: unknown): string[] {
  const own =
    isRecord(node) && isRecord(node['cte_map']) && Array.isArray(node['cte_map']['map'])
      ? node['cte_map']['map']
      : [];
  const names = own.flatMap((entry) =>
    isRecord(entry) && typeof entry['key'] === 'string' ? [entry['key'].toLowerCase()] : [],
  );
  return [...names.filter((name) => /^\w+$/.test(name)), ...children(node).flatMap(cteNames)];
}

function checkNode(node: unknown, names: Names): void {
  if (isRecord(node)) {
    const type = node['type'];
    if (type === 'BASE_TABLE') checkTable(node, names);
    if (type === 'TABLE_FUNCTION') checkFunction(node['function'], (name) => TABLE_FUNCTIONS.has(name));
    else if (node['class'] === 'FUNCTION') checkFunction(node, (name) => !SCALAR_FUNCTIONS_REFUSED.has(name));
    const from = node['from_table'];
    if (isRecord(from) && typeof from['type'] === 'string' && !FROM_NODES.has(from['type']))
      throw refused(`${from['type']} is not allowed`);
    if (type === 'SHOW_REF')
      throw refused('describe, show and summarize are not allowed; select from duckdb_columns() instead');
  }
  const skip =
    isRecord(node) && node['type'] === 'TABLE_FUNCTION'
      ? children(isRecord(node['function']) ? node['function']['children'] : [])
      : children(node);
  for (const child of skip) checkNode(child, names);
}

function checkTable(node: Record<string, unknown>, { known, ctes }: Names): void {
  const table = String(node['table_name']).toLowerCase();
  const schema = typeof node['schema_name'] === 'string' ? node['schema_name'].toLowerCase() : '';
  if (typeof node['catalog_name'] === 'string' && node['catalog_name'] !== '')
    throw refused('a database name is not allowed before a table');
  if (known.has(`${schema}.${table}`) || (schema === '' && ctes.has(table))) return;
  throw refused(`no table ${schema === '' ? '' : `${schema}.`}${table}`);
}

function checkFunction(node: unknown, allowed: (name: string) => boolean): void {
  const name = isRecord(node) ? String(node['function_name']).toLowerCase() : '';
  if (!allowed(name)) throw refused(`function ${name} is not allowed`);
}

const refused = (why: string): HeadwaterError =>
  refusedQuery(/^Only SELECT statements/i.test(why) ? 'it is not a select' : why);

export async function runQuery(
  connection: DuckDBConnection,
  sql: string,
  rowsMax: number,
): Promise<QueryAnswer> {
  await checkReadOnly(connection, sql);
  return limited(connection, async () => {
    const reader = await connection.streamAndReadUntil(sql, rowsMax + 1);
    const rows: unknown[][] = reader.getRowsJson();
    const types = reader.columnTypes();
    return {
      columns: reader.columnNames().map((name, at) => ({ name, type: String(types[at]) })),
      rows: rows.slice(0, rowsMax),
      truncated: rows.length > rowsMax,
    };
  });
}

export async function runExport(connection: DuckDBConnection, sql: string, path: string): Promise<number> {
  const format = exportFormat(path);
  await checkReadOnly(connection, sql);
  // Parsed alone, the statement is one select: it cannot end the brackets. The line break ends a trailing comment.
  const statement = `COPY ${inBrackets(sql)} TO ${literal(path)} (${format})`;
  return limited(connection, async () =>
    Number((await connection.runAndReadAll(statement)).getRows()[0]?.[0] ?? 0),
  );
}

async function limited<T>(connection: DuckDBConnection, work: () => Promise<T>): Promise<T> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    connection.interrupt();
  }, QUERY_MS_MAX);
  try {
    return await work();
  } catch (error) {
    if (late) throw tooLong(error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
