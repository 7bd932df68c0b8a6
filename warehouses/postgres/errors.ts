import { HeadwaterError } from '../../rules/errors.ts';
import { codeOf, isGone, serverWords } from '../pg-errors.ts';

/** "PostgreSQL Error Codes": the server is starting, ending or full; another writer was first; a lock or a time limit. */
const PASSING: ReadonlySet<string> = new Set([
  ...[
    '57P01',
    '57P02',
    '57P03',
    '57P05',
    '53000',
    '53100',
    '53200',
    '53300',
    '40001',
    '40P01',
    '55P03',
    '57014',
  ],
  ...['25P03', '58030', '55006'],
]);
/** Wrong user, password or database, or no right: the operator has to do something, and a later try may work. */
const REFUSED: ReadonlySet<string> = new Set(['28P01', '28000', '3D000', '42501']);

export const TOO_COMPLEX = '54001';

/** A value that this type does not take: a NUL character, JSON that is none by the server's rules, a time out of range. */
export const isMisfit = (error: unknown): boolean =>
  codeOf(error).startsWith('22') || codeOf(error) === TOO_COMPLEX;

/** A key twice: in the index, or in one statement. */
export const isRepeated = (error: unknown): boolean => ['23505', '21000'].includes(codeOf(error));

export const wordsOf = (error: unknown): string => serverWords(error, 'Postgres');

export function wrapped(what: string, error: unknown): HeadwaterError {
  if (error instanceof HeadwaterError) return error;
  if (isGone(error)) {
    return new HeadwaterError(
      'WAREHOUSE_UNAVAILABLE',
      `${what}: Postgres does not answer (${wordsOf(error)})`,
      {
        cause: error,
      },
    );
  }
  const message = `${what}: ${wordsOf(error)}`;
  const code = codeOf(error);
  if (REFUSED.has(code)) {
    return new HeadwaterError('WAREHOUSE_REJECTED', message, {
      remedy:
        code === '42501'
          ? '`npx headwater check` prints the grants that are missing; see docs/warehouses/postgres.md.'
          : "Mend user, password or database in the warehouse's `url`, then restart the worker.",
      cause: error,
    });
  }
  if (PASSING.has(code)) return new HeadwaterError('WAREHOUSE_UNAVAILABLE', message, { cause: error });
  return new HeadwaterError('WAREHOUSE_REJECTED', message, { cause: error });
}
