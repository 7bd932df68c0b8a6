import { DatabaseError } from 'pg';
import { HeadwaterError } from '../rules/errors.ts';

/** The server is starting, ending or gone; see "PostgreSQL Error Codes". */
const GONE = new Set(['57P01', '57P02', '57P03', '53300']);
/** Another writer was faster; the same work done anew succeeds. */
const RACED = new Set(['40001', '40P01', '23505']);
/** Wrong password, user, database; no right to do it. */
const REFUSED = new Set(['28P01', '28000', '3D000', '42501', '3F000']);
const LOCK_TIMEOUT = '55P03';
const DISK_FULL = '53100';

const NETWORK =
  /^(?:ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|ENOENT$)|terminated|not queryable|timeout exceeded/;

export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

/** The connection does not work any more, or there never was one. */
export function isGone(error: unknown): boolean {
  if (error instanceof HeadwaterError) return error.code === 'LEDGER_UNAVAILABLE';
  const code = codeOf(error);
  if (error instanceof DatabaseError) return GONE.has(code) || code.startsWith('08');
  if (error instanceof AggregateError) return error.errors.some(isGone);
  return NETWORK.test(code) || (error instanceof Error && NETWORK.test(error.message));
}

export function isRaced(error: unknown): boolean {
  return error instanceof DatabaseError && RACED.has(codeOf(error));
}

/** I5: the server's own words name tables and users, and its details would repeat values; those stay out. */
export function explained(error: unknown): unknown {
  if (error instanceof HeadwaterError) return error;
  if (isGone(error)) {
    return new HeadwaterError(
      'LEDGER_UNAVAILABLE',
      `the ledger's Postgres does not answer: ${reason(error)}`,
    );
  }
  if (!(error instanceof DatabaseError)) return error;
  const code = codeOf(error);
  if (code === DISK_FULL) {
    return new HeadwaterError('STAGE_FULL', "the disk of the ledger's Postgres is full; nothing was changed");
  }
  if (REFUSED.has(code)) {
    return new HeadwaterError('CONFIG_INVALID', `ledger: Postgres refuses: ${error.message}`, {
      remedy: 'Correct ledger.url, or grant the user its schema (docs/ledger.md).',
    });
  }
  if (code === LOCK_TIMEOUT) {
    return new HeadwaterError('INTERNAL', 'another process kept the ledger locked for too long');
  }
  return new HeadwaterError(
    'INTERNAL',
    `the ledger's Postgres refuses a statement: ${error.message} (${code})`,
  );
}

function reason(error: unknown): string {
  const code = codeOf(error);
  if (code !== '') return code;
  return error instanceof Error ? error.message : 'unknown';
}
