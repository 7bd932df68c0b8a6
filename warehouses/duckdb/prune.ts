import type { DuckDBConnection } from '@duckdb/node-api';
import type { Instant } from '../../schemas/instant.ts';
import { BY_ID_WINDOW } from '../warehouse.ts';
import { rowsOf } from './client.ts';

/** I3: only of windows that have their interval row, or never get one; an open one still compares attempts and batches. */
const CLOSED = `("window" IN (SELECT "window" FROM _headwater.intervals) OR starts_with("window", '${BY_ID_WINDOW}'))`;

/**
 * What goes of each table. That a record was set aside is remembered once per field, because it explains why its row is not
 * there; a change that was not applied stays too, because it is told once.
 */
const OLD: readonly [table: string, old: string][] = [
  ['batches', `loaded_at < $1::TIMESTAMPTZ AND ${CLOSED}`],
  [
    'quarantine',
    `quarantined_at < $1::TIMESTAMPTZ AND ${CLOSED} AND (record IS NULL OR EXISTS (
       SELECT 1 FROM _headwater.quarantine AS newer WHERE newer.connection = quarantine.connection
         AND newer.object = quarantine.object AND newer.record = quarantine.record
         AND newer.field IS NOT DISTINCT FROM quarantine.field
         AND (newer.quarantined_at, newer.rowid) > (quarantine.quarantined_at, quarantine.rowid)))`,
  ],
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
  // I5: what the source sent is kept for as long as somebody may correct it, not for ever.
  await connection.run(
    `UPDATE _headwater.quarantine SET value = NULL, raw = NULL
     WHERE quarantined_at < $1::TIMESTAMPTZ AND (value IS NOT NULL OR raw IS NOT NULL) AND ${CLOSED}`,
    [before],
  );
  return removed;
}
