import type { Instant } from '../../schemas/instant.ts';
import { BY_ID_WINDOW } from '../warehouse.ts';
import type { Session } from './client.ts';
import { moment, SYSTEM, text } from './names.ts';

/** I3: only of windows that have their interval row, or never get one; an open one still compares attempts and batches. */
const CLOSED = `("WINDOW" IN (SELECT "WINDOW" FROM ${SYSTEM}."INTERVALS") OR STARTSWITH("WINDOW", ${text(BY_ID_WINDOW)}))`;

/** Tables of loads whose process was killed; a load takes far less than a day. */
const LEFT_OVER_HOURS = 24;
const LEFT_OVER_MAX = 1_000;

/**
 * What goes of each table, by the columns that name a row. That a record was set aside is remembered once per field, because it
 * explains why its row is not there; a change that was not applied stays too, because it is told once.
 */
export const oldRowsSql = (before: Instant, rowsMax: number): string[] => {
  const at = moment(before);
  const nth = `ROW_NUMBER() OVER (PARTITION BY "CONNECTION", "OBJECT", "RECORD", "FIELD" ORDER BY "QUARANTINED_AT" DESC, "ID" DESC)`;
  const found: [table: string, keys: string[], from: string, old: string][] = [
    ['BATCHES', ['WINDOW', 'BATCH'], `${SYSTEM}."BATCHES"`, `"LOADED_AT" < ${at} AND ${CLOSED}`],
    [
      'QUARANTINE',
      ['ID'],
      `(SELECT *, ${nth} AS "NTH" FROM ${SYSTEM}."QUARANTINE")`,
      `"QUARANTINED_AT" < ${at} AND ${CLOSED} AND ("RECORD" IS NULL OR "NTH" > 1)`,
    ],
    ['RUNS', ['WORKFLOW_ID', 'RUN_ID'], `${SYSTEM}."RUNS"`, `"STARTED_AT" < ${text(before)}`],
    ['SCHEMA_CHANGES', ['ID'], `${SYSTEM}."SCHEMA_CHANGES"`, `"CHANGED_AT" < ${at} AND "ACTION" = 'applied'`],
  ];
  return found.map(([table, keys, from, old]) => {
    const names = keys.map((key) => `"${key}"`);
    const same = names.map((name) => `"${table}".${name} = old.${name}`).join(' AND ');
    return `DELETE FROM ${SYSTEM}."${table}" USING (SELECT ${names.join(', ')} FROM ${from} WHERE ${old} ORDER BY ${names.join(', ')} LIMIT ${Math.trunc(rowsMax)}) AS old WHERE ${same}`;
  });
};

/** Interval rows are never touched: they define coverage and are counted by `seq`. */
export async function pruneFacts(session: Session, before: Instant, rowsMax: number): Promise<number> {
  const removed = await session.atomically(async () => {
    let rows = 0;
    for (const sql of oldRowsSql(before, rowsMax)) rows += await session.run(sql);
    // I5: what the source sent is kept for as long as somebody may correct it, not for ever.
    await session.run(
      `UPDATE ${SYSTEM}."QUARANTINE" SET "VALUE" = NULL, "RAW" = NULL
       WHERE "QUARANTINED_AT" < ${moment(before)} AND ("VALUE" IS NOT NULL OR "RAW" IS NOT NULL) AND ${CLOSED}`,
    );
    return rows;
  });
  await removeLeftOver(session);
  await session.bucket?.removeLeftOver(Date.now());
  return removed;
}

async function removeLeftOver(session: Session): Promise<void> {
  const rows = await session.rows(
    `SELECT table_name FROM INFORMATION_SCHEMA.TABLES WHERE table_schema = '_HEADWATER' AND STARTSWITH(table_name, 'LOAD_')
     AND created < DATEADD(hour, -${LEFT_OVER_HOURS}, CURRENT_TIMESTAMP()) LIMIT ${LEFT_OVER_MAX}`,
  );
  for (const row of rows)
    await session.discard(`DROP TABLE IF EXISTS ${SYSTEM}."${String(row['table_name'])}"`);
}
