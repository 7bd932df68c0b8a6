import { refuseShrink } from '../batch-rules.ts';
import type { RetireRequest } from '../warehouse.ts';
import { quote } from '../sql.ts';
import type { Session } from './client.ts';
import { inChunks } from './lists.ts';
import { checkNames, moment, text } from './names.ts';
import { tableColumns } from './schema.ts';
import { createStagingSql, dropSql } from './staging.ts';
import { valuesSql } from './system-tables.ts';
import { placeFields, TEXT } from './types.ts';

const EXCEPT = '_headwater_except';

/** Rows that a whole read did not confirm. `key`: the quoted column. */
export const absentSql = (
  key: string,
  { window, readAt }: Pick<RetireRequest, 'window' | 'readAt'>,
): string => {
  const record = `CAST(${key} AS varchar(65535))`;
  return [
    `NOT COALESCE(_deleted, false) AND _version < ${moment(window.until)} AND _confirmed_at < ${moment(readAt)}`,
    `AND ${record} NOT IN (SELECT record FROM _headwater.quarantine WHERE "window" = ${text(window.id)} AND record IS NOT NULL)`,
    `AND ${record} NOT IN (SELECT id FROM ${EXCEPT})`,
  ].join('\n  ');
};

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
  const table = session.target(window.connection, schema.table);
  await session.run(createStagingSql(EXCEPT, [{ name: 'id', type: TEXT }]));
  await inChunks(request.exceptIds, async (part) => {
    await session.run(`INSERT INTO ${EXCEPT} VALUES ${valuesSql(part.length, ['?'])}`, part);
    return [];
  });
  const absent = absentSql(quote(key), request);
  const [gone] = await session.rows(`SELECT count(*) AS rows FROM ${table} WHERE ${absent}`);
  const [alive] = await session.rows(
    `SELECT count(*) AS rows FROM ${table} WHERE NOT COALESCE(_deleted, false)`,
  );
  const rows = Number(gone?.['rows'] ?? 0);
  refuseShrink(request, rows, Number(alive?.['rows'] ?? 0));
  const retired =
    rows === 0
      ? 0
      : await session.run(
          `UPDATE ${table} SET _deleted = true, _confirmed_at = ${moment(request.readAt)}, _window = ${text(window.id)} WHERE ${absent}`,
        );
  await session.run(dropSql(EXCEPT));
  return retired;
}
