import { HeadwaterError } from '../../rules/errors.ts';
import { codeOf, isGone, serverWords } from '../pg-errors.ts';
import { messageOf } from '../sql.ts';

/** Of Postgres: the server is starting, ending or full; another writer was first; a lock or a time limit. */
const PASSING: ReadonlySet<string> = new Set([
  ...['57014', '53000', '53100', '53200', '53300', '40001', '40P01', '55P03', '55006', '58030', '25P03'],
]);
/** Wrong user, password or database, or no right: the operator has to do something, and a later try may work. */
const REFUSED: ReadonlySet<string> = new Set(['28P01', '28000', '3D000', '42501']);

/**
 * Redshift's own errors have the code XX000 and begin with a number. 1023: two transactions that cannot follow each other; 1018:
 * a table that another one made or dropped meanwhile ("Serializable isolation"); 1036: memory of the compute is short.
 */
const CONFLICT = /^\s*(?:1023|1018|1036)\b|serializable isolation violation/i;
const FULL = /disk full|out of memory/i;
/** What COPY tells about the bucket; the words are the server's and hold no value. */
const BUCKET =
  /S3ServiceException:\s*([\w .'-]{1,120})|(?:Status|HTTP status code:?)\s*(\d{3})|Error\s+(\w{3,40}),Rid/g;
const BUCKET_REFUSED =
  /AccessDenied|Access Denied|not authorized|InvalidAccessKeyId|\b403\b|assume (?:iam )?role/i;
const BUCKET_PASSING =
  /SlowDown|InternalError|ServiceUnavailable|RequestTimeout|\b50[0-9]\b|Could not connect|timed out/i;

const own = (error: unknown): string => {
  const detail = typeof error === 'object' && error !== null && 'detail' in error ? String(error.detail) : '';
  return `${messageOf(error)} ${detail}`;
};

const isOwn = (error: unknown): boolean => ['XX000', '58030'].includes(codeOf(error));
const isBucket = (error: unknown): boolean =>
  isOwn(error) && /S3ServiceException|Spectrum|\bS3\b|assume (?:iam )?role/i.test(own(error));

/** I5: of Redshift's own errors only known phrases are told; the rest may quote values. */
export function wordsOf(error: unknown): string {
  if (!isOwn(error)) return serverWords(error, 'Redshift');
  if (CONFLICT.test(own(error))) return 'another transaction was first (1023)';
  if (FULL.test(own(error))) return 'the disk or memory of Redshift is full';
  if (!isBucket(error)) return serverWords(error, 'Redshift');
  const told = [...own(error).matchAll(BUCKET)].flatMap(([, ...parts]) =>
    parts.filter((part) => part !== undefined),
  );
  return `COPY cannot read the bucket${told.length === 0 ? '' : `: ${[...new Set(told)].join(', ')}`}`;
}

export const isRefusedBucket = (error: unknown): boolean =>
  isBucket(error) && BUCKET_REFUSED.test(own(error));

function isPassing(error: unknown): boolean {
  if (PASSING.has(codeOf(error))) return true;
  if (!isOwn(error)) return false;
  return (
    CONFLICT.test(own(error)) || FULL.test(own(error)) || (isBucket(error) && BUCKET_PASSING.test(own(error)))
  );
}

const CHECK = '`npx headwater check` prints what is missing; see docs/warehouses/redshift.md.';

export function wrapped(what: string, error: unknown): HeadwaterError {
  if (error instanceof HeadwaterError) return error;
  if (isGone(error)) {
    const message = `${what}: Redshift does not answer (${wordsOf(error)})`;
    return new HeadwaterError('WAREHOUSE_UNAVAILABLE', message, { cause: error });
  }
  const message = `${what}: ${wordsOf(error)}`;
  if (isRefusedBucket(error) || REFUSED.has(codeOf(error)))
    return new HeadwaterError('WAREHOUSE_REJECTED', message, { remedy: CHECK, cause: error });
  const code = isPassing(error) ? 'WAREHOUSE_UNAVAILABLE' : 'WAREHOUSE_REJECTED';
  return new HeadwaterError(code, message, { cause: error });
}
