import { LINES_MAX, linesThatSay, purgeTargets } from '../purge-rows.ts';
import type { PurgeTarget } from '../purge-rows.ts';
import { quote } from '../sql.ts';
import type { PurgedRows, PurgeRequest, Warehouse } from '../warehouse.ts';
import type { Parameter } from '../pg-session.ts';
import type { Client, Session } from './client.ts';
import { listed } from './lists.ts';
import { columnName, moment, schemaName, tableName } from './names.ts';
import { SCHEMA } from './own-tables.ts';
import { columnsOf, tableColumns } from './schema.ts';

type Target = PurgeTarget<Parameter>;

const QUARANTINE = '_headwater.quarantine';

const asText = (column: string): string => `CAST(${column} AS varchar(65535))`;

export async function purgeSubject(
  session: Session,
  request: PurgeRequest,
  dryRun: boolean,
): Promise<PurgedRows[]> {
  return purgeTargets(session, await targetsOf(session, request), {
    dryRun,
    // Durable: who removes and who writes anew may be two processes.
    gone: (table) => session.run('INSERT INTO _headwater.to_rewrite VALUES ($1)', [table]),
  });
}

async function targetsOf(session: Session, request: PurgeRequest): Promise<Target[]> {
  const targets: Target[] = [];
  for (const { connection, object, table, key, records } of request.records) {
    const columns = await tableColumns(session, connection, table);
    const column = columnName(key);
    if (columns.some(({ name }) => name === column)) {
      targets.push({
        name: `${schemaName(session.prefix, connection)}.${tableName(table)}`,
        table: session.target(connection, table),
        where: `${asText(quote(column))} IN ${listed(records)}`,
        values: [...records],
        blank: [],
      });
    }
    const nameless = await namelessLines(session, connection, object, request.texts);
    const values = [connection, object, ...records, ...nameless];
    targets.push({
      ...{ name: QUARANTINE, table: QUARANTINE, blank: [], values },
      where: `connection = $1 AND object = $2 AND (record IN ${listed(records, 2)} OR (record IS NULL AND id IN ${listed(nameless, 2 + records.length)}))`,
    });
  }
  for (const { table, where, blank = [] } of request.own) {
    const columns = new Set((await columnsOf(session, SCHEMA, tableName(table))).map(({ name }) => name));
    if (!Object.keys(where).every((column) => columns.has(columnName(column)))) continue;
    const values: string[] = [];
    const conditions = Object.entries(where).map(([column, wanted]) => {
      const condition = `${asText(quote(columnName(column)))} IN ${listed(wanted, values.length)}`;
      values.push(...wanted);
      return condition;
    });
    const full = blank.map((column) => `${quote(columnName(column))} IS NOT NULL`);
    if (full.length > 0) conditions.push(`(${full.join(' OR ')})`);
    targets.push({
      name: `${SCHEMA}.${table}`,
      table: `${quote(SCHEMA)}.${quote(tableName(table))}`,
      where: conditions.join(' AND '),
      values,
      blank: blank.map((column) => quote(columnName(column))),
    });
  }
  return targets;
}

/** Lines without a record. Two texts of 65,535 bytes are joined here: the server has no place for so long a one. */
const namelessLines = (
  session: Session,
  connection: string,
  object: string,
  texts: readonly string[],
): Promise<string[]> =>
  linesThatSay(texts, async (after) => {
    const lines = await session.rows(
      `SELECT id, "raw" AS line, value FROM ${QUARANTINE}
       WHERE record IS NULL AND connection = $1 AND object = $2 AND id > $3 ORDER BY id LIMIT ${LINES_MAX}`,
      [connection, object, after],
    );
    return lines.map(({ id, line, value }) => ({
      id,
      line: [line, value].filter((part) => typeof part === 'string').join(' '),
    }));
  });

export async function keysOlderThan(
  session: Session,
  { connection, table, key, before, offset, limit }: Parameters<Warehouse['olderThan']>[0],
): Promise<string[]> {
  const column = columnName(key);
  const columns = await tableColumns(session, connection, table);
  if (!columns.some(({ name }) => name === column)) return [];
  const rows = await session.rows(
    `SELECT ${asText(quote(column))} AS k FROM ${session.target(connection, table)}
     WHERE _version < ${moment(before)} ORDER BY _version, k LIMIT ${Math.trunc(limit)} OFFSET ${Math.trunc(offset)}`,
  );
  return rows.map((row) => String(row['k']));
}

export const REMAINING =
  'Snapshots of Redshift hold removed rows until they expire: those that are made by themselves after their retention (one day unless it was changed), those made by hand when somebody removes them.';

/** Removed rows stay in the blocks of a table until it is vacuumed. */
export const vacuumSql = (table: string): string => `VACUUM DELETE ONLY ${table} TO 100 PERCENT`;

/** Blocks from which something was removed are written anew; says in whole sentences what no statement reaches. */
export async function scrub(client: Client): Promise<string[]> {
  const tables = await client.read('looking for removed rows', async (session) => {
    const rows = await session.rows('SELECT DISTINCT "table" AS name FROM _headwater.to_rewrite ORDER BY 1');
    return rows.map((row) => String(row['name']));
  });
  for (const table of tables) await client.alone(`writing ${table} anew`, [vacuumSql(table)]);
  if (tables.length === 0) return [];
  await client.write('recording what was written anew', (session) =>
    session.run(`DELETE FROM _headwater.to_rewrite WHERE "table" IN ${listed(tables)}`, tables),
  );
  return [REMAINING];
}
