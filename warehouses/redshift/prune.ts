import type { Instant } from '../../schemas/instant.ts';
import { BY_ID_WINDOW } from '../warehouse.ts';
import type { Session } from './client.ts';
import { moment, text } from './names.ts';
import { dropSql } from './staging.ts';

/** I3: only of windows that have their interval row, or never get one; an open one still compares attempts and batches. */
const CLOSED = `("window" IN (SELECT "window" FROM _headwater.intervals) OR LEFT("window", ${BY_ID_WINDOW.length}) = ${text(BY_ID_WINDOW)})`;

const OLD = '_headwater_old';

/**
 * What goes of each table, by the columns that name a row: which rows these are, and the statement that removes them. That a
 * record was set aside is remembered once per field, because it explains why its row is not there; a change that was not applied
 * stays too, because it is told once.
 */
export function oldRowsSql(before: Instant, rowsMax: number): [find: string, remove: string][] {
  const at = moment(before);
  const nth = `ROW_NUMBER() OVER (PARTITION BY connection, object, record, field ORDER BY quarantined_at DESC, id DESC)`;
  const found: [table: string, keys: string[], from: string, old: string][] = [
    ['batches', ['"window"', 'batch'], '_headwater.batches', `loaded_at < ${at} AND ${CLOSED}`],
    [
      'quarantine',
      ['id'],
      `(SELECT *, ${nth} AS nth FROM _headwater.quarantine) AS numbered`,
      `quarantined_at < ${at} AND ${CLOSED} AND (record IS NULL OR nth > 1)`,
    ],
    ['runs', ['workflow_id', 'run_id'], '_headwater.runs', `started_at < ${text(before)}`],
    ['schema_changes', ['id'], '_headwater.schema_changes', `changed_at < ${at} AND action = 'applied'`],
  ];
  return found.map(([table, keys, from, old]) => [
    `CREATE TEMP TABLE ${OLD} AS SELECT ${keys.join(', ')} FROM ${from} WHERE ${old} ORDER BY ${keys.join(', ')} LIMIT ${Math.trunc(rowsMax)}`,
    `DELETE FROM _headwater.${table} USING ${OLD} WHERE ${keys.map((key) => `${table}.${key} = ${OLD}.${key}`).join(' AND ')}`,
  ]);
}

/** Interval rows are never touched: they define coverage and are counted by `seq`. */
export async function pruneFacts(session: Session, before: Instant, rowsMax: number): Promise<number> {
  let removed = 0;
  for (const [find, remove] of oldRowsSql(before, rowsMax)) {
    await session.run(find);
    removed += await session.run(remove);
    await session.run(dropSql(OLD));
  }
  // I5: what the source sent is kept for as long as somebody may correct it, not for ever.
  await session.run(
    `UPDATE _headwater.quarantine SET value = NULL, "raw" = NULL
     WHERE quarantined_at < ${moment(before)} AND (value IS NOT NULL OR "raw" IS NOT NULL) AND ${CLOSED}`,
  );
  return removed;
}
