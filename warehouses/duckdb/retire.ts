import type { DuckDBConnection } from '@duckdb/node-api';
import { keyColumnOf, refuseShrink } from '../batch-rules.ts';
import { checkIdentifiers, qualified, quote } from '../sql.ts';
import type { RetireRequest } from '../warehouse.ts';
import { rowsOf } from './client.ts';
import { tableColumns } from './schema.ts';

/**
 * A whole read confirms every record that the source has; what it did not confirm is gone there, though no notice of its
 * deletion is left. Such rows become tombstones that keep their values and version: a later version revives them.
 * Rows set aside by this read and records that moved during it are not touched. Repeating it finds nothing more.
 */
export async function retireAbsent(connection: DuckDBConnection, request: RetireRequest): Promise<number> {
  const { window, schema } = request;
  checkIdentifiers(schema);
  if ((await tableColumns(connection, window.connection, schema.table)).length === 0) return 0;
  const key = quote(keyColumnOf(schema));
  const table = qualified(window.connection, schema.table);
  const absent =
    `NOT coalesce(_deleted, false) AND _version < $1::TIMESTAMPTZ AND _confirmed_at < $2::TIMESTAMPTZ ` +
    `AND CAST(${key} AS VARCHAR) NOT IN (SELECT record FROM _headwater.quarantine WHERE "window" = $3 AND record IS NOT NULL) ` +
    `AND CAST(${key} AS VARCHAR) NOT IN (SELECT unnest($4::JSON::VARCHAR[]))`;
  const values = [window.until, request.readAt, window.id, JSON.stringify(request.exceptIds)];
  const [counted] = await rowsOf(
    connection,
    `SELECT count(*) FILTER (WHERE ${absent}) AS absent, count(*) FILTER (WHERE NOT coalesce(_deleted, false)) AS present FROM ${table}`,
    values,
  );
  const rows = Number(counted?.['absent'] ?? 0);
  refuseShrink(request, rows, Number(counted?.['present'] ?? 0));
  if (rows === 0) return 0;
  await connection.run(
    `UPDATE ${table} SET _deleted = true, _confirmed_at = $2::TIMESTAMPTZ, _window = $3 WHERE ${absent}`,
    values,
  );
  return rows;
}
