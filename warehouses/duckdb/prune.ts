import type { DuckDBConnection } from '@duckdb/node-api';
import type { Instant } from '../../schemas/instant.ts';
import { rowsOf } from './client.ts';

/** I3: only of windows that have their interval row; an open one still compares attempts and batches. */
const CLOSED = '"window" IN (SELECT "window" FROM _headwater.intervals)';

/** What goes of each table. A change that was not applied stays: it is told once, and this row remembers it. */
const OLD: readonly [table: string, old: string][] = [
  ['batches', `loaded_at < $1::TIMESTAMPTZ AND ${CLOSED}`],
  ['quarantine', `quarantined_at < $1::TIMESTAMPTZ AND ${CLOSED}`],
  ['runs', 'started_at < $1'],
  ['schema_changes', "changed_at < $1::TIMESTAMPTZ AND action = 'applied'"],
];

/** Interval rows are never touched: they define coverage and are counted by `seq`. */
export async function pruneFacts(
  connection: DuckDBConnection,
  before: Instant,
  rowsMax: number,
): Promise<number> {
  let removed = 0;
  for (const [table, old] of OLD) {
    const gone = await rowsOf(
      connection,
      `DELETE FROM _headwater.${table} WHERE rowid IN (
         SELECT rowid FROM _headwater.${table} WHERE ${old} ORDER BY rowid LIMIT $2::BIGINT) RETURNING 1`,
      [before, BigInt(rowsMax)],
    );
    removed += gone.length;
  }
  return removed;
}
