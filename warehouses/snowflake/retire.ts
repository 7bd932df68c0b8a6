import { refuseShrink } from '../batch-rules.ts';
import { quote } from '../sql.ts';
import type { RetireRequest } from '../warehouse.ts';
import type { Session } from './client.ts';
import { checkNames, moment, SYSTEM, text } from './names.ts';
import { lockSql, tableColumns } from './schema.ts';
import { LISTED } from './system-tables.ts';
import { placeFields } from './types.ts';

/**
 * A whole read confirms every record that the source has; what it did not confirm is gone there, though no notice of its
 * deletion is left. Such rows become tombstones that keep their values and version: a later version revives them.
 * Rows set aside by this read and records that moved during it are not touched. Repeating it finds nothing more.
 */
export async function retireAbsent(session: Session, request: RetireRequest): Promise<number> {
  const { window, schema } = request;
  checkNames(schema);
  const columns = await tableColumns(session, window.connection, schema.table);
  const key = placeFields(schema.fields, columns).find(({ field }) => field.name === schema.key)?.column
    ?.name;
  if (key === undefined) return 0;
  const target = session.target(window.connection, schema.table);
  const absent = absentSql(request, quote(key));
  const values = [JSON.stringify(request.exceptIds)];
  return session.atomically(async () => {
    await session.run(lockSql(target));
    const [counted] = await session.rows(
      `SELECT count(*) AS "ABSENT" FROM ${target} WHERE ${absent}`,
      values,
    );
    const [held] = await session.rows(
      `SELECT count(*) AS "PRESENT" FROM ${target} WHERE NOT COALESCE("_DELETED", FALSE)`,
    );
    const rows = Number(counted?.['absent'] ?? 0);
    // I6: a source that suddenly lacks a large part is more likely broken than empty.
    refuseShrink(request, rows, Number(held?.['present'] ?? 0));
    if (rows === 0) return 0;
    return session.run(
      `UPDATE ${target} SET "_DELETED" = TRUE, "_CONFIRMED_AT" = ${moment(request.readAt)}, "_WINDOW" = ${text(window.id)} WHERE ${absent}`,
      values,
    );
  });
}

/** One value: the records that moved, as a JSON list. */
export function absentSql({ window, readAt }: RetireRequest, key: string): string {
  const record = `TO_VARCHAR(${key})`;
  return [
    `NOT COALESCE("_DELETED", FALSE) AND "_VERSION" < ${moment(window.until)} AND "_CONFIRMED_AT" < ${moment(readAt)}`,
    `${record} NOT IN (SELECT "RECORD" FROM ${SYSTEM}."QUARANTINE" WHERE "WINDOW" = ${text(window.id)} AND "RECORD" IS NOT NULL)`,
    `${record} NOT IN ${LISTED}`,
  ].join('\n  AND ');
}
