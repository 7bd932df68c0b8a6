import type { Instant } from '../../schemas/instant.ts';
import { BY_ID_WINDOW } from '../warehouse.ts';
import type { Session } from './client.ts';

/** I3: only of windows that have their interval row, or never get one; an open one still compares attempts and batches. */
const closed = (table: string): string =>
  `(EXISTS (SELECT 1 FROM _headwater.intervals AS i WHERE i."window" = ${table}."window") OR starts_with(${table}."window", '${BY_ID_WINDOW}'))`;

/**
 * What goes of each table. That a record was set aside is remembered once per field, because it explains why its row is not
 * there; a change that was not applied stays too, because it is told once.
 */
const OLD: readonly [table: string, old: string][] = [
  ['batches', `old.loaded_at < $1::timestamptz AND ${closed('old')}`],
  [
    'quarantine',
    `old.quarantined_at < $1::timestamptz AND ${closed('old')} AND (old.record IS NULL OR EXISTS (
       SELECT 1 FROM _headwater.quarantine AS newer WHERE newer.connection = old.connection
         AND newer.object = old.object AND newer.record = old.record
         AND newer.field IS NOT DISTINCT FROM old.field
         AND (newer.quarantined_at, newer.id) > (old.quarantined_at, old.id)))`,
  ],
  ['runs', 'old.started_at < $1'],
  ['schema_changes', "old.changed_at < $1::timestamptz AND old.action = 'applied'"],
];

/** Interval rows are never touched: they define coverage and are counted by `seq`. */
export async function pruneFacts(session: Session, before: Instant, rowsMax: number): Promise<number> {
  let removed = 0;
  for (const [table, old] of OLD) {
    removed += await session.run(
      `DELETE FROM _headwater.${table} WHERE ctid = ANY (ARRAY(
         SELECT old.ctid FROM _headwater.${table} AS old WHERE ${old} ORDER BY old.ctid LIMIT $2::bigint))`,
      [before, String(rowsMax)],
    );
  }
  // I5: what the source sent is kept for as long as somebody may correct it, not for ever.
  await session.run(
    `UPDATE _headwater.quarantine AS old SET value = NULL, raw = NULL
     WHERE old.quarantined_at < $1::timestamptz AND (old.value IS NOT NULL OR old.raw IS NOT NULL) AND ${closed('old')}`,
    [before],
  );
  return removed;
}
