import { wordsPattern } from '../query-rules.ts';
import { quote } from '../sql.ts';
import type { PurgedRows, PurgeRequest, Warehouse } from '../warehouse.ts';
import type { Parameter } from '../pg-session.ts';
import type { Client, Session } from './client.ts';
import { listed } from './lists.ts';
import { columnName, moment, schemaName, tableName } from './names.ts';
import { SCHEMA } from './own-tables.ts';
import { columnsOf, tableColumns } from './schema.ts';

/** What is to go from one table: rows as a whole, or the values of some columns. */
interface Target {
  /** As the contract names it, and as a statement does. */
  name: string;
  table: string;
  where: string;
  values: Parameter[];
  blank: string[];
}

const QUARANTINE = '_headwater.quarantine';
/** Lines of the quarantine that are looked at at once. */
const LINES_MAX = 1_000;

const asText = (column: string): string => `CAST(${column} AS varchar(65535))`;

/** Removes what belongs to one subject, or only counts it: both by the same conditions, so that a preview is what happens. */
export async function purgeSubject(
  session: Session,
  request: PurgeRequest,
  dryRun: boolean,
): Promise<PurgedRows[]> {
  const found = new Map<string, number>();
  for (const { name, table, where, values, blank } of await targetsOf(session, request)) {
    const set = blank.map((column) => `${column} = NULL`).join(', ');
    const change =
      blank.length > 0 ? `UPDATE ${table} SET ${set} WHERE ${where}` : `DELETE FROM ${table} WHERE ${where}`;
    const rows = dryRun
      ? Number(
          (await session.rows(`SELECT count(*) AS rows FROM ${table} WHERE ${where}`, values))[0]?.['rows'],
        )
      : await session.run(change, values);
    if (rows === 0) continue;
    found.set(name, (found.get(name) ?? 0) + rows);
    // Durable: who removes and who writes anew may be two processes.
    if (!dryRun) await session.run('INSERT INTO _headwater.to_rewrite VALUES ($1)', [table]);
  }
  return [...found].map(([table, rows]) => ({ table, rows }));
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

/** Lines without a record that hold one of the texts as a whole word, whatever its case; compared here as for every warehouse. */
async function namelessLines(
  session: Session,
  connection: string,
  object: string,
  texts: readonly string[],
): Promise<string[]> {
  const said = wordsPattern(texts);
  if (said === undefined) return [];
  const found: string[] = [];
  for (let after = ''; ;) {
    const lines = await session.rows(
      `SELECT id, "raw" AS line, value FROM ${QUARANTINE}
       WHERE record IS NULL AND connection = $1 AND object = $2 AND id > $3 ORDER BY id LIMIT ${LINES_MAX}`,
      [connection, object, after],
    );
    for (const { id, line: raw, value } of lines) {
      const line = [raw, value].filter((part) => typeof part === 'string').join(' ');
      if (said.test(line.toLowerCase())) found.push(String(id));
    }
    const last = lines.at(-1)?.['id'];
    if (typeof last !== 'string' || lines.length < LINES_MAX) return found;
    after = last;
  }
}

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
