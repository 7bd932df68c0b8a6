import { wordsPattern } from '../query-rules.ts';
import type { PurgedRows, PurgeRequest, Warehouse } from '../warehouse.ts';
import type { Client } from './client.ts';
import { columnName, moment, qualifiedName, quoted, tableName, text, texts } from './names.ts';
import { GOLDEN } from './own-tables.ts';
import { OWN, ownTable } from './system-tables.ts';

/** What is to go from one table: rows as a whole, or the values of some columns. */
interface Target {
  /** As the contract names it, and as a statement does. */
  name: string;
  table: string;
  where: string;
  blank: string[];
}

/** Lines of the quarantine that are looked at at once. */
const LINES_MAX = 1_000;

/** Removes what belongs to one subject, or only counts it: both by the same conditions, so that a preview is what happens. */
export async function purgeSubject(
  client: Client,
  request: PurgeRequest,
  dryRun: boolean,
): Promise<PurgedRows[]> {
  const targets = await targetsOf(client, request);
  if (targets.length === 0) return [];
  const counts = targets.map(
    ({ table, where }, at) => `SELECT ${at} AS n, COUNT(*) AS hw_rows FROM ${table} WHERE ${where}`,
  );
  const counted = dryRun
    ? await client.rows(counts.join('\nUNION ALL '))
    : (await client.script(removalSql(targets, counts))).rows;
  const rows = new Map(counted.map((row) => [Number(row['n']), Number(row['hw_rows'])]));
  const found = new Map<string, number>();
  for (const [at, { name }] of targets.entries())
    found.set(name, (found.get(name) ?? 0) + (rows.get(at) ?? 0));
  return [...found].filter(([, gone]) => gone > 0).map(([table, gone]) => ({ table, rows: gone }));
}

/** Counted inside the transaction that removes. */
export function removalSql(targets: readonly Target[], counts: readonly string[]): string[] {
  return [
    'BEGIN TRANSACTION',
    `CREATE OR REPLACE TEMP TABLE hw_purged AS\n${counts.join('\nUNION ALL ')}`,
    ...targets.map(({ table, where, blank }) =>
      blank.length > 0
        ? `UPDATE ${table} SET ${blank.map((column) => `${column} = NULL`).join(', ')} WHERE ${where}`
        : `DELETE FROM ${table} WHERE ${where}`,
    ),
    'COMMIT TRANSACTION',
    'SELECT n, hw_rows FROM hw_purged ORDER BY n',
  ];
}

async function targetsOf(client: Client, request: PurgeRequest): Promise<Target[]> {
  const targets: Target[] = [];
  const quarantine = ownTable(client, 'quarantine');
  for (const { connection, object, table, key, records } of request.records) {
    const columns = await client.columns(connection, table);
    const column = columnName(key);
    if (columns.some(({ name }) => name === column)) {
      targets.push({
        name: `${client.dataset(connection)}.${tableName(table)}`,
        table: client.target(connection, table),
        where: `CAST(${quoted(column)} AS STRING) IN UNNEST(${texts(records)})`,
        blank: [],
      });
    }
    const nameless = await namelessLines(client, connection, object, request.texts);
    targets.push({
      ...{ name: `${client.dataset(OWN)}.quarantine`, table: quarantine, blank: [] },
      where: `\`connection\` = ${text(connection)} AND \`object\` = ${text(object)} AND (\`record\` IN UNNEST(${texts(records)}) OR (\`record\` IS NULL AND \`id\` IN UNNEST(${texts(nameless)})))`,
    });
  }
  for (const { table, where, blank = [] } of request.own) {
    const held = new Set((await client.columns(GOLDEN, table)).map(({ name }) => name));
    if (held.size === 0 || !Object.keys(where).every((column) => held.has(columnName(column)))) continue;
    const conditions = Object.entries(where).map(
      ([column, values]) => `CAST(${quoted(columnName(column))} AS STRING) IN UNNEST(${texts(values)})`,
    );
    const full = blank.map((column) => `${quoted(columnName(column))} IS NOT NULL`);
    if (full.length > 0) conditions.push(`(${full.join(' OR ')})`);
    targets.push({
      name: `${client.dataset(GOLDEN)}.${table}`,
      table: qualifiedName(client.dataset(GOLDEN), tableName(table)),
      where: conditions.join(' AND '),
      blank: blank.map((column) => quoted(columnName(column))),
    });
  }
  return targets;
}

/** Lines without a record that hold one of the texts as a whole word. Compared here: the texts are no part of any statement. */
async function namelessLines(
  client: Client,
  connection: string,
  object: string,
  said: readonly string[],
): Promise<string[]> {
  const pattern = wordsPattern(said);
  if (pattern === undefined) return [];
  const found: string[] = [];
  for (let after = ''; ;) {
    const lines = await client.rows(
      `SELECT \`id\`, CONCAT(COALESCE(\`raw\`, ''), ' ', COALESCE(\`value\`, '')) AS hw_text FROM ${ownTable(client, 'quarantine')}
WHERE \`record\` IS NULL AND \`connection\` = @name AND \`object\` = @object AND \`id\` > @after ORDER BY \`id\` LIMIT ${LINES_MAX}`,
      { name: connection, object, after },
    );
    for (const { id, hw_text: line } of lines)
      if (typeof line === 'string' && pattern.test(line.toLowerCase())) found.push(String(id));
    const last = lines.at(-1)?.['id'];
    if (typeof last !== 'string' || lines.length < LINES_MAX) return found;
    after = last;
  }
}

export async function keysOlderThan(
  client: Client,
  { connection, table, key, before, offset, limit }: Parameters<Warehouse['olderThan']>[0],
): Promise<string[]> {
  const column = columnName(key);
  const columns = await client.columns(connection, table);
  if (!columns.some(({ name }) => name === column)) return [];
  const rows = await client.rows(
    `SELECT CAST(${quoted(column)} AS STRING) AS hw_key FROM ${client.target(connection, table)}
WHERE _version < ${moment(before)} ORDER BY _version, hw_key LIMIT ${Math.trunc(limit)} OFFSET ${Math.trunc(offset)}`,
  );
  return rows.map((row) => String(row['hw_key']));
}

/** "Time travel and fail-safe" and "Jobs": what no statement reaches. */
export const REMAINING: readonly string[] = [
  'BigQuery keeps removed rows for time travel (2 to 7 days, as the dataset says) and 7 days more for its fail-safe; nobody can shorten the latter.',
  'The history of jobs keeps the ids of removed records, but none of their values, for 180 days.',
  'Staging tables are dropped after their load, at the latest a day after they were made.',
];
