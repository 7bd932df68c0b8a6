import { extname } from 'node:path';
import { HeadwaterError } from '../rules/errors.ts';

/** A statement that runs longer is stopped. */
export const QUERY_MS_MAX = 30_000;
export const QUERY_CHARS_MAX = 100_000;

export function refusedQuery(why: string): HeadwaterError {
  return new HeadwaterError('INPUT_INVALID', `the statement cannot run: ${why.slice(0, 300)}`, {
    remedy: 'Write one read-only select over the tables of the warehouse; nothing was changed.',
  });
}

export function checkLength(sql: string): void {
  if (sql.length > QUERY_CHARS_MAX)
    throw refusedQuery(`the statement is longer than ${QUERY_CHARS_MAX} characters`);
}

export const tooLong = (cause: unknown): HeadwaterError =>
  new HeadwaterError(
    'INPUT_INVALID',
    `the statement ran longer than ${QUERY_MS_MAX / 1000} s and was stopped`,
    { cause },
  );

/** How DuckDB writes a file, by its ending. */
const FORMATS: Record<string, string> = {
  '.parquet': 'FORMAT parquet, COMPRESSION snappy',
  '.csv': 'FORMAT csv, HEADER',
  '.json': 'FORMAT json, ARRAY true',
};

export function exportFormat(path: string): string {
  const format = FORMATS[extname(path).toLowerCase()];
  if (format !== undefined) return format;
  throw new HeadwaterError('INPUT_INVALID', `${path}: write to a file that ends in .parquet, .csv or .json`);
}

/** Put in brackets, a statement that is one select cannot end them; the line break ends a trailing comment. */
export const inBrackets = (sql: string): string => `(\n${sql.trim().replace(/;\s*$/, '')}\n)`;

/** An answer may have two columns of one name; a file may not. */
export function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let unique = name;
    for (let count = 2; taken.has(unique.toLowerCase()); count++) unique = `${name}_${count}`;
    taken.add(unique.toLowerCase());
    return unique;
  });
}

/** Finds one of these texts as a whole word, whatever its case; undefined where there is none to find. */
export function wordsPattern(texts: readonly string[]): RegExp | undefined {
  const words = texts.map((text) => text.toLowerCase().replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`));
  return words.length === 0 ? undefined : new RegExp(`(?:^|[^a-z0-9])(?:${words.join('|')})(?:[^a-z0-9]|$)`);
}
