/** Statements of users on servers that speak like Postgres. */
import { HeadwaterError } from '../rules/errors.ts';
import { codeOf, isGone } from './pg-errors.ts';
import { checkLength, refusedQuery, tooLong } from './query-rules.ts';

/** An identifier with escapes could write the name of a function another way. */
const ESCAPED_NAME = /\bu&"/i;

/** `refused`: functions that a read-only transaction does not stop. Looked for in the whole text, names in quotes too. */
export function checkCalls(sql: string, refused: RegExp): void {
  checkLength(sql);
  if (sql.includes('\0')) throw refusedQuery('a NUL character is not allowed');
  if (ESCAPED_NAME.test(sql)) throw refusedQuery('U&"…" is not allowed');
  const found = refused.exec(sql)?.[0];
  if (found !== undefined) throw refusedQuery(`function ${found.toLowerCase()} is not allowed`);
}

/** What the user's statement does wrong is the user's; a server that is away is not. */
export async function blamed<T>(work: () => Promise<T>, wordsOf: (error: unknown) => string): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HeadwaterError || isGone(error)) throw error;
    if (codeOf(error) === '57014') throw tooLong(error);
    throw codeOf(error) === '' ? error : refusedQuery(wordsOf(error));
  }
}
