import { wordsPattern } from '../query-rules.ts';
import { quote } from '../sql.ts';
import type { PurgedRows, PurgeRequest, Warehouse } from '../warehouse.ts';
import type { Parameter, Session } from './client.ts';
import { columnName, GOLDEN, moment, schemaName, SYSTEM, tableName } from './names.ts';
import { columnsOf, tableColumns } from './schema.ts';
import { LISTED } from './system-tables.ts';

/** What is to go from one table: rows as a whole, or the values of some columns. */
interface Target {
  /** As the contract names it, and as a statement does. */
  name: string;
  table: string;
  where: string;
  values: Parameter[];
  blank: string[];
}

const QUARANTINE = `${SYSTEM}."QUARANTINE"`;
/** Lines of the quarantine that are looked at at once. */
const LINES_MAX = 1_000;

export const REMAINING =
  'Snowflake keeps removed rows in Time Travel for the DATA_RETENTION_TIME_IN_DAYS of their table, one day unless it was changed, and then for seven days in Fail-safe, where nobody but Snowflake reads them.';

/**
 * Removes what belongs to one subject, or only counts it: both by the same conditions, so that a preview is what happens. Values
 * are bound, so that the history of queries does not show them.
 */
export async function purgeSubject(
  session: Session,
  request: PurgeRequest,
  dryRun: boolean,
): Promise<PurgedRows[]> {
  const targets = await targetsOf(session, request);
  const found = new Map<string, number>();
  const purge = async (): Promise<void> => {
    for (const { name, table, where, values, blank } of targets) {
      const set = blank.map((column) => `${column} = NULL`).join(', ');
      const change =
        blank.length > 0
          ? `UPDATE ${table} SET ${set} WHERE ${where}`
          : `DELETE FROM ${table} WHERE ${where}`;
      const rows = dryRun
        ? Number(
            (await session.rows(`SELECT count(*) AS "ROWS" FROM ${table} WHERE ${where}`, values))[0]?.[
              'rows'
            ],
          )
        : await session.run(change, values);
      if (rows > 0) found.set(name, (found.get(name) ?? 0) + rows);
    }
  };
  await (dryRun ? purge() : session.atomically(purge));
  return [...found].map(([table, rows]) => ({ table, rows }));
}

async function targetsOf(session: Session, request: PurgeRequest): Promise<Target[]> {
  const targets: Target[] = [];
  for (const { connection, object, table, key, records } of request.records) {
    const columns = await tableColumns(session, connection, table);
    const column = columnName(key);
    const ids = JSON.stringify(records);
    if (columns.some(({ name }) => name === column)) {
      targets.push({
        name: `${schemaName(session.prefix, connection)}.${tableName(table)}`.toLowerCase(),
        table: session.target(connection, table),
        where: `TO_VARCHAR(${quote(column)}) IN ${LISTED}`,
        values: [ids],
        blank: [],
      });
    }
    const nameless = await namelessLines(session, connection, object, request.texts);
    targets.push({
      ...{ name: '_headwater.quarantine', table: QUARANTINE, blank: [] },
      where: `"CONNECTION" = ? AND "OBJECT" = ? AND ("RECORD" IN ${LISTED} OR ("RECORD" IS NULL AND "ID" IN ${LISTED}))`,
      values: [connection, object, ids, JSON.stringify(nameless)],
    });
  }
  for (const { table, where, blank = [] } of request.own) {
    const columns = new Set((await columnsOf(session, GOLDEN, tableName(table))).map(({ name }) => name));
    if (!Object.keys(where).every((column) => columns.has(columnName(column)))) continue;
    const conditions = Object.keys(where).map(
      (column) => `TO_VARCHAR(${quote(columnName(column))}) IN ${LISTED}`,
    );
    const full = blank.map((column) => `${quote(columnName(column))} IS NOT NULL`);
    if (full.length > 0) conditions.push(`(${full.join(' OR ')})`);
    targets.push({
      name: `golden.${table}`,
      table: `${quote(GOLDEN)}.${quote(tableName(table))}`,
      where: conditions.join(' AND '),
      values: Object.values(where).map((values) => JSON.stringify(values)),
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
      `SELECT "ID", COALESCE("RAW", '') || ' ' || COALESCE("VALUE", '') AS "LINE" FROM ${QUARANTINE}
       WHERE "RECORD" IS NULL AND "CONNECTION" = ? AND "OBJECT" = ? AND "ID" > ? ORDER BY "ID" LIMIT ${LINES_MAX}`,
      [connection, object, after],
    );
    for (const { id, line } of lines) {
      if (typeof line === 'string' && said.test(line.toLowerCase())) found.push(String(id));
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
    `SELECT TO_VARCHAR(${quote(column)}) AS "K" FROM ${session.target(connection, table)}
     WHERE "_VERSION" < ${moment(before)} ORDER BY "_VERSION", "K" LIMIT ${Math.trunc(limit)} OFFSET ${Math.trunc(offset)}`,
  );
  return rows.map((row) => String(row['k']));
}
