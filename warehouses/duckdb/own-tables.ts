import type { DuckDBConnection } from '@duckdb/node-api';
import { literal, quote } from '../sql.ts';
import type { OwnTable } from '../../schemas/own-table.ts';
import type { QuarantinedRow } from '../warehouse.ts';
import { rowsOf } from './client.ts';
import { tableType } from './types.ts';

const SCHEMA = 'golden';

/** NDJSON into one of Headwater's own tables: newer versions replace older ones; the same file twice changes nothing. */
export async function mergeOwnTable(
  connection: DuckDBConnection,
  table: OwnTable,
  file: string,
): Promise<void> {
  await createOwnTable(connection, table);
  const names = table.columns.map(({ name }) => quote(name));
  const types = table.columns.map(({ name, type }) => `${literal(name)}: ${literal(tableType(type))}`);
  const rows = `SELECT ${names.join(',')} FROM read_json(${literal(file)}, format='newline_delimited', columns={${types.join(',')}})`;
  const key = table.key.map(quote);
  const order = table.version === null ? '' : ` ORDER BY ${quote(table.version)} DESC`;
  const newest = `SELECT * FROM (${rows}) QUALIFY row_number() OVER (PARTITION BY ${key.join(',')}${order}) = 1`;
  const same = key.map((column) => `t.${column} = s.${column}`).join(' AND ');
  const assign = names.filter((name) => !key.includes(name)).map((name) => `${name} = s.${name}`);
  const update =
    table.version === null
      ? ''
      : `WHEN MATCHED AND (s.${quote(table.version)} >= t.${quote(table.version)} OR s._epoch <> t._epoch) ` +
        `THEN UPDATE SET ${assign.join(', ')} `;
  await connection.run(
    `MERGE INTO ${target(table)} AS t USING (${newest}) AS s ON ${same} ${update}` +
      `WHEN NOT MATCHED THEN INSERT (${names.join(',')}) VALUES (${names.map((name) => `s.${name}`).join(',')})`,
  );
}

export async function dropOtherEpochs(
  connection: DuckDBConnection,
  tables: readonly OwnTable[],
  epoch: string,
): Promise<void> {
  for (const table of tables) {
    if ((await columnsOf(connection, table)).size === 0) continue;
    await connection.run(`DELETE FROM ${target(table)} WHERE _epoch IS DISTINCT FROM $1`, [epoch]);
  }
}

async function columnsOf(connection: DuckDBConnection, table: OwnTable): Promise<Set<string>> {
  const rows = await rowsOf(
    connection,
    'SELECT column_name FROM duckdb_columns() WHERE schema_name=$1 AND table_name=$2 AND database_name=current_database()',
    [SCHEMA, table.name],
  );
  return new Set(rows.map((row) => String(row['column_name'])));
}

function target(table: OwnTable): string {
  return `${quote(SCHEMA)}.${quote(table.name)}`;
}

/** Makes what is not there yet: schema, table, columns that an entity has gained, the view with `valid_to`. */
async function createOwnTable(connection: DuckDBConnection, table: OwnTable): Promise<void> {
  const known = await columnsOf(connection, table);
  const missing = table.columns.filter(({ name }) => !known.has(name));
  if (missing.length === 0) return;
  const defined = missing.map(({ name, type }) => `${quote(name)} ${tableType(type)}`);
  if (known.size === 0) {
    await connection.run(`CREATE SCHEMA IF NOT EXISTS ${quote(SCHEMA)}`);
    await connection.run(`CREATE TABLE ${target(table)} (${defined.join(',')})`);
  } else {
    for (const column of defined) await connection.run(`ALTER TABLE ${target(table)} ADD COLUMN ${column}`);
  }
  if (table.history === undefined) return;
  const { view, of, from, order } = table.history;
  const next = `lead(${quote(from)}) OVER (PARTITION BY ${quote(of)} ORDER BY ${quote(order)})`;
  await connection.run(
    `CREATE OR REPLACE VIEW ${quote(SCHEMA)}.${quote(view)} AS SELECT *, ${quote(from)} AS valid_from, ` +
      `${next} AS valid_to, ${next} IS NULL AS "current" FROM ${target(table)}`,
  );
}

export async function setAsideRows(
  connection: DuckDBConnection,
  rows: readonly QuarantinedRow[],
  now: string,
): Promise<void> {
  await connection.run(
    `INSERT INTO _headwater.quarantine (batch, "window", connection, object, record, field, value, reason, raw, quarantined_at)
SELECT r->>'batch', r->>'window', r->>'connection', r->>'object', r->>'record', r->>'field', NULL, r->>'reason', NULL, $2::TIMESTAMPTZ
FROM (SELECT unnest($1::JSON::JSON[]) AS r)
WHERE NOT EXISTS (SELECT 1 FROM _headwater.quarantine AS q
  WHERE q.batch = (r->>'batch') AND q.record = (r->>'record') AND q.field = (r->>'field'))`,
    [JSON.stringify(rows), now],
  );
}
