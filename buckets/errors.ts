import { HeadwaterError, type ErrorCode } from '../rules/errors.ts';

/** What the troubles of a bucket are called by whoever uses it. */
export interface BucketErrors {
  /** Another try may help. */
  away: ErrorCode;
  /** Name, rights or login are wrong. */
  refused: ErrorCode;
  /** What to do about a refusal; absent: as the catalog says. */
  remedy?: string;
}

/** Of the stage. */
export const STAGE_ERRORS: BucketErrors = { away: 'STAGE_UNAVAILABLE', refused: 'STAGE_REFUSED' };

/** 409: two writers of one key at once; the others ask to come later. */
const AGAIN: ReadonlySet<number> = new Set([408, 409, 425, 429]);
/** Bytes that came other than they were sent, or parts that are gone: it may fit at the next try. */
const DAMAGED = /digest|checksum|contentsha256|md5|incompletebody|requesttimeout|nosuchupload/i;

/**
 * I5: the service's own text may hold an access key or an address with a signature; only its code and status are told.
 * `status` undefined: there was no whole answer.
 */
export function bucketError(
  errors: BucketErrors,
  what: string,
  status: number | undefined,
  code: string,
): HeadwaterError {
  const again = status === undefined || status >= 500 || AGAIN.has(status) || DAMAGED.test(code);
  const answer = status === undefined ? `no answer (${code})` : `${status} ${code}`.trim();
  if (again) return new HeadwaterError(errors.away, `${what}: ${answer}`);
  const { remedy } = errors;
  return new HeadwaterError(errors.refused, `${what}: ${answer}`, remedy === undefined ? {} : { remedy });
}

/** Errors of npm packages cross realms in tests, hence no instanceof. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'unknown';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'name' in error && typeof error.name === 'string' ? error.name : 'unknown';
}
