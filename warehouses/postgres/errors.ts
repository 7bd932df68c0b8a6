import { HeadwaterError } from '../../rules/errors.ts';
import { firstLine, messageOf } from '../sql.ts';

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
const NETWORK = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|ENOENT$)/;
const BROKEN = /terminated|not queryable|timeout|ended|closed/i;

export const TOO_COMPLEX = '54001';

/** The five characters of the server, the driver's or Node's code; empty where there is none. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

const isServers = (error: unknown): boolean => /^[0-9A-Z]{5}$/.test(codeOf(error));

/** A value that this type does not take: a NUL character, JSON that is none by the server's rules, a time out of range. */
export const isMisfit = (error: unknown): boolean =>
  codeOf(error).startsWith('22') || codeOf(error) === TOO_COMPLEX;

/** A key twice: in the index, or in one statement. */
export const isRepeated = (error: unknown): boolean => ['23505', '21000'].includes(codeOf(error));

export function isGone(error: unknown): boolean {
  const code = codeOf(error);
  if (isServers(error)) return code.startsWith('08') || code.startsWith('57P');
  if (typeof error === 'object' && error !== null && 'errors' in error && Array.isArray(error.errors))
    return error.errors.some(isGone);
  return NETWORK.test(code) || BROKEN.test(messageOf(error));
}

/** I5: words of these classes are about names, rights and resources. Those of 22 and 23 quote values: only their code is told. */
const PLAIN_CLASSES: ReadonlySet<string> = new Set([
  '08',
  '0A',
  '25',
  '28',
  '3D',
  '3F',
  '40',
  '42',
  '53',
  '54',
  '55',
  '57',
]);

export function wordsOf(error: unknown): string {
  const code = codeOf(error);
  if (!isServers(error)) return code === '' ? firstLine(error) : code;
  return PLAIN_CLASSES.has(code.slice(0, 2)) ? `${firstLine(error)} (${code})` : `error ${code} of Postgres`;
}

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
      remedy: '`npx headwater check` prints the grants that are missing; see docs/warehouses/postgres.md.',
      cause: error,
    });
  }
  if (PASSING.has(code)) return new HeadwaterError('WAREHOUSE_UNAVAILABLE', message, { cause: error });
  return new HeadwaterError('WAREHOUSE_REJECTED', message, { cause: error });
}
