import { z } from 'zod';
import { HeadwaterError, type ErrorCode } from '../../rules/errors.ts';
import { httpError, vendorCode, vendorWords, type HttpFailure } from '../http.ts';
import { PLAIN_CODES, READ_IN } from './plain-texts.ts';

/** Salesforce's own error code, when the answer had one: `errorCodeOf(error) === 'INVALID_QUERY_LOCATOR'`. */
export function errorCodeOf(error: unknown): string | undefined {
  if (!(error instanceof HeadwaterError)) return undefined;
  const code = error.details['errorCode'];
  return typeof code === 'string' ? code : undefined;
}

export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof HeadwaterError)) return undefined;
  const status = error.details['status'];
  return typeof status === 'number' ? status : undefined;
}

/** Refusals that mean "use REST": Salesforce has no flag for them in describe, and no code of their own. */
export const BULK_REFUSALS = /compound data not supported|not supported by the bulk api|max bulk v2 query/i;

/** The bulk API refuses this object or query for good; REST can read it. */
export function isBulkRefusal(error: unknown): error is HeadwaterError {
  return error instanceof HeadwaterError && error.details['bulkRefused'] === true;
}

const CODES: Record<string, ErrorCode> = {
  INVALID_SESSION_ID: 'AUTH_FAILED',
  INVALID_AUTH_HEADER: 'AUTH_FAILED',
  INACTIVE_USER: 'AUTH_FAILED',
  API_DISABLED_FOR_ORG: 'PERMISSION_DENIED',
  FUNCTIONALITY_NOT_ENABLED: 'PERMISSION_DENIED',
  INVALID_TYPE: 'OBJECT_UNKNOWN',
  INVALID_QUERY_LOCATOR: 'JOB_LOST',
  QUERY_TIMEOUT: 'SOURCE_UNAVAILABLE',
  UNABLE_TO_LOCK_ROW: 'SOURCE_UNAVAILABLE',
  INVALID_FIELD: 'SOURCE_REJECTED',
  MALFORMED_QUERY: 'SOURCE_REJECTED',
};

/** What an answer other than 2xx means: Salesforce's error code first, the HTTP status where that says nothing. */
export function apiError(failure: HttpFailure, where: string): HeadwaterError {
  const { errorCode: given, message, fields } = parseError(failure.text);
  if (given === undefined) return httpError(failure, where);
  const errorCode = vendorCode(given);
  const words = vendorWords(errorCode, tail(message), { codes: PLAIN_CODES, readIn: READ_IN });
  const said = words === '' ? '' : `: ${words}`;
  const code = codeFor(errorCode, message);
  const refusal = BULK_REFUSALS.test(message) ? { bulkRefused: true } : {};
  if (code === undefined) {
    const plain = httpError(failure, where, `${errorCode}${said}`);
    return new HeadwaterError(plain.code, plain.message, {
      details: {
        ...plain.details,
        errorCode,
        ...refusal,
        ...(fields[0] === undefined ? {} : { field: fields[0] }),
      },
      ...(plain.retryAfterMs === undefined ? {} : { retryAfterMs: plain.retryAfterMs }),
    });
  }
  const field = errorCode === 'INVALID_FIELD' ? /No such column '([\w.]+)'/.exec(message)?.[1] : fields[0];
  const wait = failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs };
  return new HeadwaterError(code, `${where} answered ${failure.status} ${errorCode}${said}`, {
    details: { status: failure.status, errorCode, ...refusal, ...(field === undefined ? {} : { field }) },
    ...wait,
  });
}

function codeFor(errorCode: string, message: string): ErrorCode | undefined {
  // The same code stands for the daily total (wait for tomorrow) and for too many calls at once (wait a moment).
  if (errorCode === 'REQUEST_LIMIT_EXCEEDED')
    return /concurrent/i.test(message) ? 'SOURCE_THROTTLED' : 'QUOTA_EXHAUSTED';
  if (errorCode.startsWith('INSUFFICIENT_ACCESS')) return 'PERMISSION_DENIED';
  return CODES[errorCode];
}

const restErrorSchema = z.object({
  errorCode: z.string(),
  message: z.string().nullish(),
  fields: z.array(z.string()).nullish(),
});
const oauthErrorSchema = z.object({ error: z.string(), error_description: z.string().nullish() });

/** `[{ errorCode, message, fields }]` of REST and Bulk, or `{ error, error_description }` of OAuth. */
export function parseError(text: string): {
  errorCode: string | undefined;
  message: string;
  /** Names, as describe has them. */
  fields: string[];
} {
  let first: unknown;
  try {
    const parsed: unknown = JSON.parse(text);
    first = Array.isArray(parsed) ? parsed[0] : parsed;
  } catch {
    // HTML of a maintenance page, or JSON cut at 4 KB: the status decides.
  }
  const rest = restErrorSchema.safeParse(first).data;
  const oauth = oauthErrorSchema.safeParse(first).data;
  return {
    errorCode: rest?.errorCode ?? oauth?.error,
    message: rest?.message ?? oauth?.error_description ?? '',
    fields: (rest?.fields ?? []).filter((name) => /^\w{1,80}$/.test(name)),
  };
}

/** A query error repeats the query and draws a caret below it; the reason stands last. */
function tail(message: string): string {
  const at = message.lastIndexOf('ERROR at Row');
  return at < 0 ? message : message.slice(at);
}
