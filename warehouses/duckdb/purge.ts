import type { DuckDBConnection } from '@duckdb/node-api';
import { literal, qualified, quote } from '../sql.ts';
import type { PurgedRows, PurgeRequest, Warehouse } from '../warehouse.ts';
import { rowsOf } from './client.ts';
import { tableColumns } from './schema.ts';

/** What is to go from one table: rows as a whole, or the values of some columns. */
interface Target {
  table: string;
  where: string;
  values: string[];
  blank: string[];
}

/**
 * Removes what belongs to one subject, or only counts it: both by the same conditions, so that a preview is what happens.
 * Bytes of removed rows stay in free blocks of the file until it is written anew.
 */
export async function purgeSubject(
  connection: DuckDBConnection,
  request: PurgeRequest,
  dryRun: boolean,
): Promise<PurgedRows[]> {
  const found: PurgedRows[] = [];
  for (const { table, where, values, blank } of await targetsOf(connection, request)) {
    const set = blank.map((column) => `${column} = NULL`).join(', ');
    const statement = dryRun
      ? `SELECT count(*) AS rows FROM ${table} WHERE ${where}`
      : blank.length > 0
        ? `UPDATE ${table} SET ${set} WHERE ${where}`
        : `DELETE FROM ${table} WHERE ${where}`;
    const reader = await connection.runAndReadAll(statement, values);
    const rows = Number(reader.getRows()[0]?.[0] ?? 0);
    const name = table.replaceAll('"', '');
    const known = found.find((line) => line.table === name);
    if (known !== undefined) known.rows += rows;
    else if (rows > 0) found.push({ table: name, rows });
  }
  return found;
}

async function targetsOf(connection: DuckDBConnection, request: PurgeRequest): Promise<Target[]> {
  const targets: Target[] = [];
  for (const { connection: name, object, table, key, records } of request.records) {
    const ids = JSON.stringify(records);
    const columns = await tableColumns(connection, name, table);
    if (columns.some((column) => column.name === key)) {
      const where = `CAST(${quote(key)} AS VARCHAR) IN (SELECT unnest($1::JSON::VARCHAR[]))`;
      targets.push({ table: qualified(name, table), where, values: [ids], blank: [] });
    }
    targets.push({
      table: '"_headwater"."quarantine"',
      where:
        'connection = $2 AND object = $3 AND (record IN (SELECT unnest($1::JSON::VARCHAR[])) OR (record IS NULL AND EXISTS ' +
        "(SELECT 1 FROM (SELECT unnest($4::JSON::VARCHAR[]) AS said) WHERE regexp_matches(lower(coalesce(raw, '') || ' ' || coalesce(value, '')), '(^|[^a-z0-9])' || regexp_escape(said) || '([^a-z0-9]|$)'))))",
      values: [ids, name, object, JSON.stringify(request.texts.map((text) => text.toLowerCase()))],
      blank: [],
    });
  }
  for (const { table, where, blank = [] } of request.own) {
    const columns = new Set((await tableColumns(connection, 'golden', table)).map(({ name }) => name));
    if (!Object.keys(where).every((column) => columns.has(column))) continue;
    const conditions = Object.keys(where).map(
      (column, at) => `${quote(column)} IN (SELECT unnest($${at + 1}::JSON::VARCHAR[]))`,
    );
    const full = blank.map((column) => `${quote(column)} IS NOT NULL`);
    if (full.length > 0) conditions.push(`(${full.join(' OR ')})`);
    targets.push({
      table: qualified('golden', table),
      where: conditions.join(' AND '),
      values: Object.values(where).map((values) => JSON.stringify(values)),
      blank: blank.map(quote),
    });
  }
  return targets;
}

/**
 * Copies the database into a new file, which holds live rows only: what a checkpoint frees stays readable in the old one, and
 * blocks that tables share keep rows that no table has any more.
 */
export async function copyLive(connection: DuckDBConnection, path: string, storage: string): Promise<void> {
  const [row] = await rowsOf(connection, 'SELECT current_database() AS name');
  await connection.run(`ATTACH ${literal(path)} AS _fresh (STORAGE_VERSION '${storage}')`);
  try {
    await connection.run(`COPY FROM DATABASE ${quote(String(row?.['name']))} TO _fresh`);
    await connection.run('CHECKPOINT _fresh');
  } finally {
    await connection.run('DETACH _fresh');
  }
}

export async function keysOlderThan(
  connection: DuckDBConnection,
  { connection: name, table, key, before, offset, limit }: Parameters<Warehouse['olderThan']>[0],
): Promise<string[]> {
  const columns = await tableColumns(connection, name, table);
  if (!columns.some((column) => column.name === key)) return [];
  const rows = await rowsOf(
    connection,
    `SELECT CAST(${quote(key)} AS VARCHAR) AS k FROM ${qualified(name, table)}
     WHERE _version < $1::TIMESTAMPTZ ORDER BY _version, k LIMIT $2::BIGINT OFFSET $3::BIGINT`,
    [before, BigInt(limit), BigInt(offset)],
  );
  return rows.map((row) => String(row['k']));
}
