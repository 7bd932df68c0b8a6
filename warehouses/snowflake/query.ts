import { appendFile } from 'node:fs/promises';
import type { Column } from 'snowflake-sdk';
import { HeadwaterError } from '../../rules/errors.ts';
import {
  checkLength,
  exportFormat,
  inBrackets,
  QUERY_MS_MAX,
  refusedQuery,
  tooLong,
  uniqueNames,
} from '../query-rules.ts';
import { literal, quote } from '../sql.ts';
import type { QueryAnswer } from '../warehouse.ts';
import type { Client, Session } from './client.ts';
import { codeOf, isGone, isTimeout, wordsOf } from './errors.ts';
import { folded } from './names.ts';

/** Rows of an export that are in memory at once. */
const EXPORT_ROWS = 50_000;
/** What can stand before a bracket where a table is expected; any other table function needs TABLE(…) around it. */
const TABLES = /^(?:table|lateral|values|flatten|select|identifier)$/i;
/** They act on sessions, queries and tasks, or raise a sequence. Rights of the role are what really bounds a reader. */
const REFUSED = /\bsystem\$\w+|\bnextval\b/i;

/**
 * Put in brackets behind FROM, a statement can only read: there the server takes one SELECT and nothing else. Files in stages are
 * no tables, and so are refused too, as is what a function does beside reading.
 */
export function checkReadOnly(sql: string): void {
  checkLength(sql);
  if (sql.includes('\0')) throw refusedQuery('a NUL character is not allowed');
  const bare = withoutTexts(sql);
  if (!/^[\s(]*(?:select|with)\b/i.test(bare)) throw refusedQuery('it is not a select');
  if (bare.replace(/;\s*$/, '').includes(';')) throw refusedQuery('exactly one statement is expected');
  const found = REFUSED.exec(bare)?.[0];
  if (found !== undefined) throw refusedQuery(`${found.toLowerCase()} is not allowed`);
  if (/\b(?:from|join)\s*(?:@|'|\$)|,\s*@/i.test(bare)) throw refusedQuery('a file is no table');
  for (const [, name = ''] of bare.matchAll(/\b(?:from|join)\s+([\w$.]+)\s*\(/gi))
    if (!TABLES.test(name)) throw refusedQuery(`function ${name.toLowerCase()} is not allowed`);
}

/** Comments become a space, a text is emptied; a name in quotes stays. */
const withoutTexts = (sql: string): string =>
  sql.replaceAll(
    /(--|\/\/)[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\]|\\.|'')*'|\$\$[\s\S]*?\$\$|"(?:[^"]|"")*"/g,
    (part) => (part.startsWith('"') ? part : part.startsWith("'") || part.startsWith('$') ? "''" : ' '),
  );

/** Names in quotes are found whatever their case, as in the other warehouses. */
const OPTIONS = {
  parameters: {
    QUOTED_IDENTIFIERS_IGNORE_CASE: true,
    STATEMENT_TIMEOUT_IN_SECONDS: QUERY_MS_MAX / 1000,
  },
  msMax: QUERY_MS_MAX,
};

/** What the user's statement does wrong is the user's; a server that is away is not. */
async function asInput<T>(
  client: Client,
  what: string,
  sql: string,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  checkReadOnly(sql);
  return client.use(what, async (session) => {
    try {
      return await work(session);
    } catch (error) {
      if (error instanceof HeadwaterError || isGone(error)) throw error;
      if (isTimeout(error)) throw tooLong(error);
      throw codeOf(error) === '' ? error : refusedQuery(wordsOf(error));
    }
  });
}

export function runQuery(client: Client, sql: string, rowsMax: number): Promise<QueryAnswer> {
  return asInput(client, 'running the query', sql, async (session) => {
    const limited = `SELECT * FROM ${inBrackets(sql)} LIMIT ${Math.trunc(rowsMax) + 1}`;
    const { columns, rows } = await session.answer(limited, [], OPTIONS);
    return {
      columns: columns.map((column) => ({ name: nameOf(column), type: typeName(column) })),
      rows: rows.slice(0, rowsMax).map((row) => row.map((value, at) => jsonSafe(value, columns[at]))),
      truncated: rows.length > rowsMax,
    };
  });
}

/** Whatever a JavaScript number cannot hold stays the text that the server writes. */
function jsonSafe(value: unknown, column: Column | undefined): unknown {
  if (value === null || value === undefined) return null;
  if (column?.getType() !== 'real') return value;
  const number = Number(value);
  return Number.isFinite(number) ? number : value;
}

/** As the other warehouses name it: what was folded to upper case comes back in small letters. */
function nameOf(column: Column): string {
  const name = column.getName();
  return name === folded(name) ? name.toLowerCase() : name;
}

const typeName = (column: Column): string =>
  column.getType() === 'fixed' ? `number(${column.getPrecision()},${column.getScale()})` : column.getType();

/** DuckDB's name of a type; everything else is written as the text that the server gives. */
const FILE_TYPES: Record<string, string> = {
  ...{ boolean: 'BOOLEAN', real: 'DOUBLE', date: 'DATE', time: 'TIME', variant: 'JSON' },
  ...{ object: 'JSON', array: 'JSON', timestamp_ntz: 'TIMESTAMP' },
  ...{ timestamp_tz: 'TIMESTAMPTZ', timestamp_ltz: 'TIMESTAMPTZ' },
};
const INTEGER_DIGITS_SAFE = 18;

function fileType(column: Column): string {
  if (column.getType() !== 'fixed') return FILE_TYPES[column.getType()] ?? 'VARCHAR';
  const [precision, scale] = [column.getPrecision(), column.getScale()];
  return scale === 0 && precision <= INTEGER_DIGITS_SAFE ? 'BIGINT' : `DECIMAL(${precision},${scale})`;
}

export async function runExport(client: Client, sql: string, path: string): Promise<number> {
  const format = exportFormat(path);
  return asInput(client, 'exporting', sql, async (session) => {
    const { staged } = session;
    const between = staged.temporary('json');
    try {
      const { columns, rows } = await session.answer(`SELECT * FROM ${inBrackets(sql)}`, [], OPTIONS);
      const names = uniqueNames(columns.map(nameOf));
      for (let at = 0; at < rows.length || at === 0; at += EXPORT_ROWS)
        await appendFile(between, linesOf(names, rows.slice(at, at + EXPORT_ROWS)), { mode: 0o600 });
      const typed = names.map((name) => `${literal(name)}: 'VARCHAR'`);
      const values = columns.map((column, at) => {
        const name = quote(names[at] ?? '');
        return `CAST(${name} AS ${fileType(column)}) AS ${name}`;
      });
      const read = `read_json(${literal(between)}, format = 'newline_delimited', columns = {${typed.join(', ')}})`;
      return await staged.run(
        `COPY (SELECT ${values.join(', ')} FROM ${read}) TO ${literal(path)} (${format})`,
      );
    } finally {
      await staged.remove(between);
    }
  });
}

const linesOf = (names: readonly string[], rows: readonly unknown[][]): string =>
  rows
    .map(
      (row) =>
        `${JSON.stringify(Object.fromEntries(names.map((name, at) => [name, textOrNull(row[at])])))}\n`,
    )
    .join('');

const textOrNull = (value: unknown): string | null =>
  value === null || value === undefined ? null : typeof value === 'string' ? value : JSON.stringify(value);
