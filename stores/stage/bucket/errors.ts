import { HeadwaterError } from '../../../rules/errors.ts';

/** 409: two writers of one key at once; the others ask to come later. */
const AGAIN: ReadonlySet<number> = new Set([408, 409, 425, 429]);
/** Bytes that came other than they were sent: the same request may fit at the next try. */
const DAMAGED = /digest|checksum|contentsha256|md5|incompletebody|requesttimeout/i;

/**
 * I5: the service's own text may hold an access key or an address with a signature; only its code and status are told.
 * `status` undefined: there was no whole answer.
 */
export function bucketError(what: string, status: number | undefined, code: string): HeadwaterError {
  const again = status === undefined || status >= 500 || AGAIN.has(status) || DAMAGED.test(code);
  const answer = status === undefined ? `no answer (${code})` : `${status} ${code}`.trim();
  return new HeadwaterError(again ? 'STAGE_UNAVAILABLE' : 'STAGE_REFUSED', `${what}: ${answer}`);
}

/** Errors of npm packages cross realms in tests, hence no instanceof. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'unknown';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'name' in error && typeof error.name === 'string' ? error.name : 'unknown';
}
