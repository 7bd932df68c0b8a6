import { appendFile } from 'node:fs/promises';
import { exportFormat, QUERY_MS_MAX, refusedQuery, uniqueNames } from '../query-rules.ts';
import type { QueryAnswer } from '../warehouse.ts';
import { blamed, checkCalls } from '../pg-query.ts';
import { literal, quote } from '../sql.ts';
import type { Client, Session } from './client.ts';
import { wordsOf } from './errors.ts';
import type { Part } from './server.ts';

/** They act on sessions, settings or sequences. Rights of the user are what really bounds a reader. */
const FUNCTIONS_REFUSED =
  /\b(?:pg_(?:terminate|cancel)_backend|set_config|nextval|setval|pg_read_\w+|pg_ls_\w+|pg_stat_file|lo_\w+|dblink\w*|query_to_xml\w*|pg_advisory\w*|pg_sleep\w*)\b/i;

/** Comments become a space, a text is emptied; a name in quotes stays. */
const withoutTexts = (sql: string): string =>
  sql.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\]|\\.|'')*'|\$\$[\s\S]*?\$\$|"(?:[^"]|"")*"/g, (part) =>
    part.startsWith('"') ? part : part.startsWith("'") || part.startsWith('$') ? "''" : ' ',
  );

export function checkReadOnly(sql: string): void {
  checkCalls(sql, FUNCTIONS_REFUSED);
  const bare = withoutTexts(sql);
  if (!/^[\s(]*(?:select|with|values)\b/i.test(bare)) throw refusedQuery('it is not a select');
  if (bare.replace(/;\s*$/, '').includes(';')) throw refusedQuery('exactly one statement is expected');
  if (/\binto\b/i.test(bare.replaceAll(/"(?:[^"]|"")*"/g, ' '))) throw refusedQuery('INTO makes a table');
}

/** What a cursor or the Data API takes: one statement. */
const single = (sql: string): string => sql.trim().replace(/;\s*$/, '');

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
    const rows: unknown[][] = [];
    let columns: Part['columns'] = [];
    for await (const part of session.select(single(sql), rowsMax + 1)) {
      columns = part.columns;
      rows.push(...part.rows);
    }
    return {
      columns,
      rows: rows.slice(0, rowsMax),
      truncated: rows.length > rowsMax,
    };
  });
}

/** DuckDB's name of a type; everything else is written as the text that the server gives. */
const FILE_TYPES: Record<string, string> = {
  ...{ boolean: 'BOOLEAN', smallint: 'SMALLINT', integer: 'INTEGER', bigint: 'BIGINT', super: 'JSON' },
  ...{ date: 'DATE', real: 'FLOAT', 'double precision': 'DOUBLE', 'time without time zone': 'TIME' },
  ...{ 'timestamp with time zone': 'TIMESTAMPTZ', 'timestamp without time zone': 'TIMESTAMP' },
};

const fileType = (type: string): string => FILE_TYPES[type] ?? 'VARCHAR';

export async function runExport(client: Client, sql: string, path: string): Promise<number> {
  const format = exportFormat(path);
  return asInput(client, 'exporting', sql, async (session) => {
    const { staged } = client;
    const between = staged.temporary('json');
    try {
      let columns: Part['columns'] = [];
      for await (const part of session.select(single(sql), Number.MAX_SAFE_INTEGER)) {
        columns = part.columns;
        await appendFile(between, part.rows.map(lineOf).join(''), { mode: 0o600 });
      }
      const names = uniqueNames(columns.map(({ name }) => name));
      const typed = names.map((_, at) => `c${at}: 'VARCHAR'`);
      const values = columns.map(
        ({ type }, at) => `CAST(c${at} AS ${fileType(type)}) AS ${quote(names[at] ?? '')}`,
      );
      const read = `read_json(${literal(between)}, format = 'newline_delimited', columns = {${typed.join(', ')}})`;
      return await staged.run(
        `COPY (SELECT ${values.join(', ')} FROM ${read}) TO ${literal(path)} (${format})`,
      );
    } finally {
      await staged.remove(between);
    }
  });
}

const lineOf = (row: readonly unknown[]): string =>
  `${JSON.stringify(Object.fromEntries(row.map((value, at) => [`c${at}`, textOrNull(value)])))}\n`;

const textOrNull = (value: unknown): string | null =>
  value === null || typeof value === 'string' ? value : JSON.stringify(value);
