import { isServers } from '../pg-errors.ts';
import { messageOf } from '../sql.ts';

/** An error with the five characters that the server's own protocol would tell. */
export const serverError = (code: string, message: string, cause?: unknown): Error =>
  Object.assign(new Error(message, { cause }), { code });

/** The Data API tells words alone. The first that fits; what nothing fits is Redshift's own, and its words are not told (I5). */
const CODES: readonly [words: RegExp, code: string][] = [
  [
    /\b(?:1023|1018|1036)\b|serializable isolation|S3ServiceException|Spectrum|assume (?:iam )?role/i,
    'XX000',
  ],
  [/disk full|out of memory/i, 'XX000'],
  [/invalid input syntax|out of range|overflow|value too long/i, '22000'],
  [/cancel(?:l?ed|ling)|statement timeout|was aborted/i, '57014'],
  [/current transaction is aborted/i, '25P02'],
  [/permission denied|must be owner/i, '42501'],
  [/too many (?:clients|connections)|connection limit/i, '53300'],
  [/could not obtain lock/i, '55P03'],
  [/deadlock detected/i, '40P01'],
  [/connection (?:to \S+ )?(?:was )?(?:closed|refused|reset|lost)|terminating connection/i, '08006'],
  [/syntax error/i, '42601'],
  [/already exists/i, '42P07'],
  [/column .* does not exist/i, '42703'],
  [/does not exist|unknown (?:table|column)/i, '42P01'],
];
const OWN = 'XX000';
/** Whether a session can be opened now. */
const PASSING: ReadonlySet<string> = new Set(['08006', '57014', '53300']);

/** Of a statement that failed. `isOpening`: of the session itself, where words are about names and logins. */
export function statementError(words: string, isOpening: boolean): Error {
  const message = words.replace(/^\s*(?:ERROR|FATAL):\s*/, '').replaceAll(/\s*\[ErrorId:[^\]]*\]/g, '');
  const found = CODES.find(([pattern]) => pattern.test(message))?.[1] ?? OWN;
  return serverError(isOpening && !PASSING.has(found) ? '3D000' : found, message);
}

/** Of a request: login or rights are wrong. */
const REFUSED =
  /AccessDenied|UnrecognizedClient|ExpiredToken|InvalidSignature|InvalidClientTokenId|Credential|MissingAuthentication|OptInRequired/;
/** Those the worker can do nothing about; all others are tried again later. */
const INVALID = /ValidationException|ResourceNotFound|SerializationException/;
const WORDS_CHARS_MAX = 200;

/** I5: of a request for a statement only the service's name of the error is told, for its words may quote the statement. */
export function requestError(error: unknown, isOpening = false): unknown {
  if (isServers(error)) return error;
  const name = nameOf(error);
  const told = `the Data API: ${name}`;
  if (REFUSED.test(name)) return serverError('28000', told, error);
  if (!INVALID.test(name)) return serverError('08006', told, error);
  // The session ended before its time, or the answer is no more.
  if (!isOpening && (/session/i.test(messageOf(error)) || name.startsWith('ResourceNotFound')))
    return serverError('08003', `${told}, the session or its answer is gone`, error);
  if (!isOpening) return serverError('0A000', told, error);
  return serverError('3D000', `${told}: ${messageOf(error).slice(0, WORDS_CHARS_MAX)}`, error);
}

function nameOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('name' in error)) return 'no answer';
  return String(error.name).slice(0, 80);
}
