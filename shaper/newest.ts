import type { DuckDBConnection } from '@duckdb/node-api';
import { literal, quote } from '../warehouses/sql.ts';
import { PARQUET } from './sql.ts';
import type { NewestRequest } from './shaper.ts';

/** Shaped files of equal columns as one that has each key once: the version that would win in the warehouse. */
export async function newest(
  connection: DuckDBConnection,
  { files, key, hashed, window, out }: NewestRequest,
): Promise<number> {
  await connection.run("SET TimeZone='UTC'");
  const order = `_version DESC NULLS LAST,_confirmed_at DESC,_deleted DESC${hashed ? ',_hash DESC' : ''}`;
  const place = `row_number() OVER (PARTITION BY ${quote(key)} ORDER BY ${order})`;
  const rows =
    `SELECT * REPLACE (${literal(window)} AS _window) FROM read_parquet([${files.map(literal).join(',')}]) ` +
    `QUALIFY ${place}=1`;
  await connection.run(`COPY (${rows}) TO ${literal(out)} (${PARQUET})`);
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM read_parquet(${literal(out)})`);
  return Number(counted.getRows()[0]?.[0] ?? 0);
}
