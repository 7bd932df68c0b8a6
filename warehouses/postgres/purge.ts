import { LINES_MAX, linesThatSay, purgeTargets } from '../purge-rows.ts';
import type { PurgeTarget } from '../purge-rows.ts';
import type { Parameter } from '../pg-session.ts';
import { quote } from '../sql.ts';
import type { PurgedRows, PurgeRequest, Warehouse } from '../warehouse.ts';
import type { Session } from './client.ts';
import { columnName, schemaName, tableName } from './names.ts';
import { SCHEMA } from './own-tables.ts';
import { columnsOf, tableColumns } from './schema.ts';

type Target = PurgeTarget<Parameter>;

const QUARANTINE = '_headwater.quarantine';

export async function purgeSubject(
  session: Session,
  request: PurgeRequest,
  dryRun: boolean,
): Promise<PurgedRows[]> {
  return purgeTargets(session, await targetsOf(session, request), {
    dryRun,
    // Durable: who removes and who writes anew may be two processes.
    gone: (table) =>
      session.run('INSERT INTO _headwater.to_rewrite VALUES ($1) ON CONFLICT DO NOTHING', [table]),
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
        where: `${quote(column)}::text = ANY($1)`,
        values: [records],
        blank: [],
      });
    }
    const nameless = await namelessLines(session, connection, object, request.texts);
    targets.push({
      ...{ name: QUARANTINE, table: QUARANTINE, blank: [] },
      where:
        'connection = $2 AND object = $3 AND (record = ANY($1) OR (record IS NULL AND id = ANY($4::bigint[])))',
      values: [records, connection, object, nameless],
    });
  }
  for (const { table, where, blank = [] } of request.own) {
    const columns = new Set((await columnsOf(session, SCHEMA, tableName(table))).map(({ name }) => name));
    if (!Object.keys(where).every((column) => columns.has(columnName(column)))) continue;
    const conditions = Object.keys(where).map(
      (column, at) => `${quote(columnName(column))}::text = ANY($${at + 1})`,
    );
    const full = blank.map((column) => `${quote(columnName(column))} IS NOT NULL`);
    if (full.length > 0) conditions.push(`(${full.join(' OR ')})`);
    targets.push({
      name: `${SCHEMA}.${table}`,
      table: `${quote(SCHEMA)}.${quote(tableName(table))}`,
      where: conditions.join(' AND '),
      values: Object.values(where),
      blank: blank.map((column) => quote(columnName(column))),
    });
  }
  return targets;
}

/** Lines without a record. */
const namelessLines = (
  session: Session,
  connection: string,
  object: string,
  texts: readonly string[],
): Promise<string[]> =>
  linesThatSay(
    texts,
    (after) =>
      session.rows(
        `SELECT id, coalesce(raw, '') || ' ' || coalesce(value, '') AS line FROM ${QUARANTINE}
         WHERE record IS NULL AND connection = $1 AND object = $2 AND id > $3::bigint ORDER BY id LIMIT ${LINES_MAX}`,
        [connection, object, after],
      ),
    '0',
  );

export async function keysOlderThan(
  session: Session,
  { connection, table, key, before, offset, limit }: Parameters<Warehouse['olderThan']>[0],
): Promise<string[]> {
  const column = columnName(key);
  const columns = await tableColumns(session, connection, table);
  if (!columns.some(({ name }) => name === column)) return [];
  const rows = await session.rows(
    `SELECT ${quote(column)}::text AS k FROM ${session.target(connection, table)}
     WHERE _version < $1::timestamptz ORDER BY _version, k LIMIT $2::bigint OFFSET $3::bigint`,
    [before, String(limit), String(offset)],
  );
  return rows.map((row) => String(row['k']));
}

/** A table that is larger than this is not written anew: nobody could read it for minutes. */
export const REWRITE_BYTES_MAX = 1024 ** 3;

const SERVERS_OWN =
  'The write-ahead log and the backups of the Postgres server hold removed rows until the server recycles the one and its operator lets the others expire.';

interface Rewrite {
  /** Qualified and quoted. */
  table: string;
  /** What holds its rows: the table itself, or one of its partitions. */
  relation: string;
  large: boolean;
}

/** Tables from which something was removed since they were last written anew. */
export async function tablesToRewrite(session: Session): Promise<Rewrite[]> {
  const rows = await session.rows(
    `SELECT t."table", r.relation::text AS relation, pg_total_relation_size(r.relation) > $1::bigint AS large
     FROM _headwater.to_rewrite t
     LEFT JOIN LATERAL pg_partition_tree(to_regclass(t."table")) p ON p.isleaf
     CROSS JOIN LATERAL (SELECT coalesce(p.relid, to_regclass(t."table")) AS relation) r
     WHERE r.relation IS NOT NULL ORDER BY 1, 2`,
    [String(REWRITE_BYTES_MAX)],
  );
  return rows.map((row) => ({
    ...{ table: String(row['table']), relation: String(row['relation']) },
    large: row['large'] === true,
  }));
}

/** Removed rows stay in the pages of a table until it is written anew; where that takes too long, they stay until they are written over. */
export const rewriteSql = ({ relation, large }: Rewrite): string =>
  `VACUUM ${large ? '' : '(FULL) '}${relation}`;

/** In whole sentences, what no statement of Headwater reaches. */
export function remaining(rewrites: readonly Rewrite[]): string[] {
  const large = rewrites.filter((rewrite) => rewrite.large);
  const sentences = large.map(
    ({ relation }) =>
      `${relation.replaceAll('"', '')} is too large to be written anew while it is in use: bytes of removed rows stay in its free space until later rows overwrite them, or until an operator runs VACUUM FULL.`,
  );
  return [...sentences, SERVERS_OWN];
}
