import { refuseShrink } from '../batch-rules.ts';
import type { RetireRequest } from '../warehouse.ts';
import { quote } from '../sql.ts';
import type { Session } from './client.ts';
import { checkNames } from './names.ts';
import { tableColumns } from './schema.ts';
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
  const name = placeFields(schema.fields, columns).find(({ field }) => field.name === schema.key)?.column
    ?.name;
  if (name === undefined) return 0;
  const key = `t.${quote(name)}::text`;
  const table = session.target(window.connection, schema.table);
  // NOT EXISTS with an equality: a large list is hashed, where NOT IN would be gone through for each row.
  const absent = `NOT coalesce(_deleted, false) AND _version < $1::timestamptz AND _confirmed_at < $2::timestamptz
    AND NOT EXISTS (SELECT 1 FROM _headwater.quarantine AS q WHERE q."window" = $3 AND q.record = ${key})
    AND NOT EXISTS (SELECT 1 FROM unnest($4::text[]) AS e (id) WHERE e.id = ${key})`;
  const values = [window.until, request.readAt, window.id, request.exceptIds];
  const [counted] = await session.rows(
    `SELECT (SELECT count(*) FROM ${table} AS t WHERE ${absent}) AS absent,
      (SELECT count(*) FROM ${table} WHERE NOT coalesce(_deleted, false)) AS present`,
    values,
  );
  const rows = Number(counted?.['absent'] ?? 0);
  refuseShrink(request, rows, Number(counted?.['present'] ?? 0));
  if (rows === 0) return 0;
  return session.run(
    `UPDATE ${table} AS t SET _deleted = true, _confirmed_at = $2::timestamptz, _window = $3 WHERE ${absent}`,
    values,
  );
}
