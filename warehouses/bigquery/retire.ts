import { refuseShrink } from '../batch-rules.ts';
import type { RetireRequest } from '../warehouse.ts';
import type { Client } from './client.ts';
import { checkNames, moment, quoted, text } from './names.ts';
import { lockSql, ownTable } from './system-tables.ts';
import { placeFields } from './types.ts';

/**
 * A whole read confirms every record that the source has; what it did not confirm is gone there, though no notice of its
 * deletion is left. Such rows become tombstones that keep their values and version: a later version revives them.
 * Rows set aside by this read and records that moved during it are not touched. Repeating it finds nothing more.
 */
export async function retireAbsent(client: Client, request: RetireRequest): Promise<number> {
  const { window, schema } = request;
  checkNames(schema);
  const columns = await client.columns(window.connection, schema.table);
  const name = placeFields(schema.fields, columns).find(({ field }) => field.name === schema.key)?.column
    ?.name;
  if (name === undefined) return 0;
  const key = `CAST(t.${quoted(name)} AS STRING)`;
  const table = client.target(window.connection, schema.table);
  const absent = [
    'NOT COALESCE(t._deleted, FALSE)',
    `t._version < ${moment(window.until)}`,
    `t._confirmed_at < ${moment(request.readAt)}`,
    `${key} NOT IN (SELECT record FROM ${ownTable(client, 'quarantine')} WHERE \`window\` = ${text(window.id)} AND record IS NOT NULL)`,
  ].join(' AND ');
  const excepted = { except: request.exceptIds };
  const [counted] = await client.rows(
    `SELECT COUNTIF(gone) AS gone, COUNTIF(alive) AS present FROM (
  SELECT ${absent} AND ${key} NOT IN UNNEST(@except) AS gone, NOT COALESCE(t._deleted, FALSE) AS alive FROM ${table} AS t)`,
    excepted,
  );
  const rows = Number(counted?.['gone'] ?? 0);
  refuseShrink(request, rows, Number(counted?.['present'] ?? 0));
  if (rows === 0) return 0;
  // Of one table at a time, as a load: what was counted is what is marked, or more of it a moment later.
  await client.run(lockSql(client, window.connection, schema.table));
  return client.run(
    `UPDATE ${table} AS t SET _deleted = TRUE, _confirmed_at = ${moment(request.readAt)}, _window = ${text(window.id)} WHERE ${absent} AND ${key} NOT IN UNNEST(@except)`,
    excepted,
  );
}
