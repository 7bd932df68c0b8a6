import { HeadwaterError } from '../../rules/errors.ts';
import { firstLine, messageOf } from '../sql.ts';

/** The server's number of an error as text, the driver's, or Node's code; empty where there is none. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' || typeof error.code === 'number' ? String(error.code) : '';
}

export function stateOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('sqlState' in error)) return '';
  return typeof error.sqlState === 'string' ? error.sqlState : '';
}

const TIMED_OUT: ReadonlySet<string> = new Set(['000604', '000630', '604', '630']);
/** Lock wait, deadlock, an internal error of the server, compute that cannot be resumed now. */
const PASSING: ReadonlySet<string> = new Set([
  ...['000625', '000626', '000603', '000612', '090073', '000705', '300002', '300005', '000629'],
  ...['000639', '200001', '200002'],
]);
/** Wrong key, token, password, user; no right; no compute. Somebody has to do something, and a later try may work. */
const REFUSED = /^(?:3901\d\d|3902\d\d|3903\d\d|3941\d\d|3944\d\d|3951\d\d|003001|000606|002043|003003)$/;
/** The session or its token is gone, while the user is not. */
const SESSION_GONE: ReadonlySet<string> = new Set([
  '390103',
  '390104',
  '390108',
  '390110',
  '390111',
  '390112',
  '390114',
  '390115',
]);
/** Of the driver: no answer, an answer of a proxy, a connection that is down. */
const DRIVER_GONE = /^(?:401\d\d\d|402\d\d\d|405503|407001|407002)$/;
const NETWORK = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND)/;
const BROKEN = /socket hang up|network timeout|network error|terminated/i;

export const isTimeout = (error: unknown): boolean => TIMED_OUT.has(codeOf(error));

export function isGone(error: unknown): boolean {
  const code = codeOf(error);
  if (DRIVER_GONE.test(code) || SESSION_GONE.has(code) || NETWORK.test(code)) return true;
  return code === '' && BROKEN.test(messageOf(error));
}

/**
 * I5: words of these classes are about names, rights and resources. Those about data (22, 23) and of an unknown kind may quote
 * values: only their code is told.
 */
const PLAIN_CLASSES: ReadonlySet<string> = new Set(['02', '08', '28', '42', '57']);

export function wordsOf(error: unknown): string {
  if (error instanceof HeadwaterError) return error.message;
  const code = codeOf(error);
  const state = stateOf(error);
  if (code === '') return firstLine(error);
  if (isGone(error)) return `error ${code} of the driver`;
  return PLAIN_CLASSES.has(state.slice(0, 2)) || state === ''
    ? `${messageOf(error).replaceAll(/\s+/g, ' ').slice(0, 300)} (${code})`
    : `error ${code} of Snowflake`;
}

export function wrapped(what: string, error: unknown): HeadwaterError {
  if (error instanceof HeadwaterError) return error;
  const code = codeOf(error);
  if (isGone(error)) {
    const message = `${what}: Snowflake does not answer (${wordsOf(error)})`;
    return new HeadwaterError('WAREHOUSE_UNAVAILABLE', message, { cause: error });
  }
  const message = `${what}: ${wordsOf(error)}`;
  if (PASSING.has(code) || isTimeout(error))
    return new HeadwaterError('WAREHOUSE_UNAVAILABLE', message, { cause: error });
  if (REFUSED.test(code)) {
    return new HeadwaterError('WAREHOUSE_REJECTED', message, {
      remedy: '`npx headwater check` prints the grants that are missing; see docs/warehouses/snowflake.md.',
      cause: error,
    });
  }
  return new HeadwaterError('WAREHOUSE_REJECTED', message, { cause: error });
}
