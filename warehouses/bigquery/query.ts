import { once as happened } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import type { QueryAnswer } from '../warehouse.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import {
  checkLength,
  exportFormat,
  QUERY_MS_MAX,
  refusedQuery,
  tooLong,
  uniqueNames,
} from '../query-rules.ts';
import { literal, quote } from '../sql.ts';
import type { Client } from './client.ts';
import { isPassing, refusalOf, wordsOf } from './errors.ts';
import type { Job } from './jobs.ts';
import { inOwnWords } from './standard.ts';
import { decodedRow } from './values.ts';
import type { AnswerField, ResultPage } from './values.ts';

/** Functions that reach another system or the files of whoever answers; rights of the account are what really bounds a reader. */
const FUNCTIONS_REFUSED =
  /\b(?:external_query|external_object_transform|read_\w+|parquet_\w+|glob|getenv|query|query_table|ai\s*\.\s*\w+|ml\s*\.\s*\w+|sniff_csv|duckdb_\w+|pragma_\w+)\s*\(/i;
/** No table is named by a text; an emulator would open a file. */
const FROM_TEXT = /\b(?:from|join)\s*\(?\s*'/i;

/** The statement with every text as '' and every comment as a blank: what is left are its own words. */
export function bareWords(sql: string): string {
  return sql.replaceAll(
    /(?:'''(?:\\[\s\S]|(?!''')[\s\S])*''')|(?:"""(?:\\[\s\S]|(?!""")[\s\S])*""")|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\\n])*`|--[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\//g,
    (found) => {
      if (/^['"]/.test(found)) return "''";
      return found.startsWith('`') ? 'q' : ' ';
    },
  );
}

export function checkReadOnly(sql: string): void {
  checkLength(sql);
  if (sql.includes('\0')) throw refusedQuery('a NUL character is not allowed');
  const words = bareWords(sql).trim().replace(/;\s*$/, '');
  if (words.includes(';')) throw refusedQuery('exactly one statement is expected');
  if (!/^[(\s]*(?:select|with)\b/i.test(words)) throw refusedQuery('it is not a select');
  const found = FUNCTIONS_REFUSED.exec(words)?.[0];
  if (found !== undefined)
    throw refusedQuery(`function ${found.replace(/\s*\($/, '').toLowerCase()} is not allowed`);
  if (FROM_TEXT.test(words)) throw refusedQuery('a text is no table');
}

/** What the user's statement does wrong is the user's; a service that is away is not. */
function asInput(error: unknown): unknown {
  if (error instanceof HeadwaterError) return error;
  if (refusalOf(error).reason === 'stopped') return tooLong(error);
  return isPassing(error) ? error : refusedQuery(wordsOf(error));
}

interface Opened {
  job: Job;
  page: ResultPage;
  fields: AnswerField[];
}

/** Asked first what it is and what it would read; then run with its limits. Nothing of its answer is kept. */
async function open(client: Client, asked: string): Promise<Opened> {
  checkLength(asked);
  const sql = inOwnWords(client, asked);
  checkReadOnly(sql);
  const query = { query: sql, useLegacySql: false };
  try {
    const { bytes, statement } = await client.jobs.dryRun({ query });
    if (statement !== 'SELECT') throw refusedQuery('it is not a select');
    const bytesMax = client.config.queryBytesMax;
    if (bytes > bytesMax)
      throw refusedQuery(`it would read ${bytes} bytes, more than warehouse.queryBytesMax, ${bytesMax}`);
    const { job, page } = await client.jobs.query({
      configuration: { query: { ...query, maximumBytesBilled: String(bytesMax) } },
      labels: { use: 'query' },
      msMax: QUERY_MS_MAX,
    });
    return { job, page, fields: page.schema?.fields ?? [] };
  } catch (error) {
    throw asInput(error);
  }
}

async function* pages(
  client: Client,
  { job, page, fields }: Opened,
  rowsMax: number,
): AsyncGenerator<unknown[][]> {
  let next: ResultPage = page;
  for (let rows = 0; ;) {
    const found = (next.rows ?? []).map((row) => decodedRow(fields, row));
    yield found;
    rows += found.length;
    if (rows >= rowsMax || next.pageToken === undefined || next.pageToken === '') return;
    next = await client.jobs.more(job, next.pageToken, PAGE_ROWS);
  }
}

const PAGE_ROWS = 20_000;

export async function runQuery(client: Client, sql: string, rowsMax: number): Promise<QueryAnswer> {
  const opened = await open(client, sql);
  const rows: unknown[][] = [];
  for await (const page of pages(client, opened, rowsMax + 1)) rows.push(...page);
  return {
    columns: opened.fields.map(({ name, type, mode }) => ({
      name,
      type: mode === 'REPEATED' ? `${type}[]` : type,
    })),
    rows: rows.slice(0, rowsMax),
    truncated: rows.length > rowsMax,
  };
}

/** DuckDB's name of a type; everything else is written as the text that BigQuery gives. */
const FILE_TYPES: Record<string, string> = {
  ...{
    BOOLEAN: 'BOOLEAN',
    INTEGER: 'BIGINT',
    FLOAT: 'DOUBLE',
    DATE: 'DATE',
    TIME: 'TIME',
    TIMESTAMP: 'TIMESTAMPTZ',
  },
  JSON: 'JSON',
};
const fileType = ({ type, mode }: AnswerField): string =>
  mode === 'REPEATED' ? 'JSON' : (FILE_TYPES[type] ?? 'VARCHAR');

export async function runExport(client: Client, sql: string, path: string): Promise<number> {
  const format = exportFormat(path);
  const opened = await open(client, sql);
  const between = client.staged.temporary('json');
  try {
    const names = uniqueNames(opened.fields.map(({ name }) => name));
    const out = createWriteStream(between, { mode: 0o600 });
    for await (const page of pages(client, opened, Infinity)) {
      for (const row of page) {
        const line = `${JSON.stringify(Object.fromEntries(names.map((name, at) => [name, row[at]])))}\n`;
        if (!out.write(line)) await happened(out, 'drain');
      }
    }
    out.end();
    await finished(out);
    const typed = opened.fields.map(
      (field, at) => `${literal(names[at] ?? '')}: ${literal(fileType(field))}`,
    );
    const from = `read_json(${literal(between)}, format = 'newline_delimited', columns = {${typed.join(', ')}})`;
    return await client.staged.run(
      `COPY (SELECT ${names.map(quote).join(', ')} FROM ${from}) TO ${literal(path)} (${format})`,
    );
  } finally {
    await rm(between, { force: true });
  }
}
