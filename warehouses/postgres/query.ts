import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { exportFormat, inBrackets, QUERY_MS_MAX, uniqueNames } from '../query-rules.ts';
import type { QueryAnswer } from '../warehouse.ts';
import { blamed, checkCalls } from '../pg-query.ts';
import { literal, quote } from '../sql.ts';
import type { Client, Session } from './client.ts';
import { wordsOf } from './errors.ts';

/**
 * Functions that a read-only transaction does not stop: they reach files, other servers, other sessions, settings or locks, or run
 * a text as a statement. Looked for in the whole text, names in quotes too; rights of the role are what really bounds a reader.
 */
const FUNCTIONS_REFUSED =
  /\b(?:pg_read_\w+|pg_ls_\w+|pg_stat_file|pg_file_\w+|lo_\w+|loread|lowrite|dblink\w*|postgres_fdw\w*|pg_(?:terminate|cancel)_backend|pg_reload_conf|pg_rotate_logfile\w*|pg_switch_wal|pg_(?:create|drop|copy)_\w+|pg_replication_\w+|pg_logical_\w+|pg_log_\w+|pg_promote|pg_wal_replay_\w+|pg_backup_\w+|pg_notify|pg_(?:try_)?advisory\w*|pg_sleep\w*|pg_stat_reset\w*|set_config|setseed|nextval|setval|\w*query_to_xml\w*|\w*(?:table|schema|cursor|database)_to_xml\w*|ts_stat|ts_rewrite)\b/i;

export function checkReadOnly(sql: string): void {
  checkCalls(sql, FUNCTIONS_REFUSED);
}

const CURSOR = 'headwater_answer';

/**
 * A cursor takes one SELECT or VALUES and nothing else; the extended protocol takes one statement; the transaction is read only,
 * and its connection is closed afterwards.
 */
async function open(session: Session, sql: string): Promise<void> {
  await session.table(`DECLARE ${CURSOR} NO SCROLL CURSOR FOR ${sql}`);
}

async function asInput<T>(
  client: Client,
  what: string,
  sql: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  checkReadOnly(sql);
  return client.visit(what, QUERY_MS_MAX, (session) => blamed(() => work(session), wordsOf));
}

export function runQuery(client: Client, sql: string, rowsMax: number): Promise<QueryAnswer> {
  return asInput(client, 'running the query', sql, async (session) => {
    await open(session, sql);
    const { columns, rows } = await session.table(`FETCH FORWARD ${rowsMax + 1} FROM ${CURSOR}`);
    const types = await typeNames(session, columns);
    return {
      columns: columns.map(({ name }, at) => ({ name, type: types[at] ?? 'unknown' })),
      rows: rows.slice(0, rowsMax),
      truncated: rows.length > rowsMax,
    };
  });
}

async function typeNames(session: Session, columns: readonly { oid: number }[]): Promise<string[]> {
  const rows = await session.rows(
    'SELECT oid::text AS oid, format_type(oid, NULL) AS name FROM pg_catalog.pg_type WHERE oid = ANY($1::oid[])',
    [[...new Set(columns.map(({ oid }) => String(oid)))]],
  );
  const names = new Map(rows.map((row) => [row['oid'], String(row['name'])]));
  return columns.map(({ oid }) => names.get(String(oid)) ?? 'unknown');
}

/** DuckDB's name of a type; everything else is written as the text that the server gives. */
const FILE_TYPES: Record<string, string> = {
  ...{
    boolean: 'BOOLEAN',
    smallint: 'SMALLINT',
    integer: 'INTEGER',
    bigint: 'BIGINT',
    json: 'JSON',
    date: 'DATE',
  },
  ...{ real: 'FLOAT', 'double precision': 'DOUBLE', 'time without time zone': 'TIME' },
  ...{ 'timestamp with time zone': 'TIMESTAMPTZ', 'timestamp without time zone': 'TIMESTAMP' },
};

/** Of one row of an export. */
const LINE_BYTES_MAX = 32 * 1024 * 1024;

/** Marks NULL in the file between server and DuckDB; texts are always quoted there, so none of them is taken for it. */
const NULL_MARK = String.raw`\N`;

export async function runExport(client: Client, sql: string, path: string): Promise<number> {
  const format = exportFormat(path);
  return asInput(client, 'exporting', sql, async (session) => {
    await open(session, sql);
    const { columns } = await session.table(`FETCH FORWARD 0 FROM ${CURSOR}`);
    const types = await typeNames(session, columns);
    await session.run(`CLOSE ${CURSOR}`);
    const { staged } = session;
    const between = staged.temporary();
    try {
      // Declared alone, the statement is one select: it cannot end the brackets. The line break ends a trailing comment.
      const statement = `COPY ${inBrackets(sql)} TO STDOUT (FORMAT csv, NULL ${literal(NULL_MARK)}, FORCE_QUOTE *)`;
      await pipeline(session.copyOut(statement), createWriteStream(between, { mode: 0o600 }));
      const names = uniqueNames(columns.map(({ name }) => name));
      const typed = names.map((name, at) => `${literal(name)}: ${literal(fileType(types[at] ?? ''))}`);
      const read =
        `read_csv(${literal(between)}, auto_detect = false, header = false, delim = ',', quote = '"', escape = '"', ` +
        `nullstr = ${literal(NULL_MARK)}, allow_quoted_nulls = false, max_line_size = ${LINE_BYTES_MAX}, buffer_size = ${2 * LINE_BYTES_MAX}, columns = {${typed.join(', ')}})`;
      return await staged.run(
        `COPY (SELECT ${names.map(quote).join(', ')} FROM ${read}) TO ${literal(path)} (${format})`,
      );
    } finally {
      await rm(between, { force: true });
    }
  });
}

const fileType = (type: string): string => FILE_TYPES[type] ?? 'VARCHAR';
