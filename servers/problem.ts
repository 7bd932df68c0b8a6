import { STATUS_CODES } from 'node:http';
import { HeadwaterError, type ErrorCode } from '../rules/errors.ts';

const UNAVAILABLE_RETRY_MS = 5_000;

/** An answer that is no success, in the words of HTTP; its detail never repeats what was sent (I5). */
export class Problem extends Error {
  readonly status: number;
  /** Members of the answer beside those of RFC 9457. */
  readonly more: Readonly<Record<string, unknown>>;
  readonly retryAfterMs: number | undefined;

  constructor(
    status: number,
    detail: string,
    options: { more?: Record<string, unknown>; retryAfterMs?: number } = {},
  ) {
    super(detail);
    this.name = 'Problem';
    this.status = status;
    this.more = options.more ?? {};
    this.retryAfterMs = options.retryAfterMs;
  }
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  INPUT_INVALID: 400,
  AUTH_FAILED: 502,
  PERMISSION_DENIED: 502,
  OBJECT_UNKNOWN: 404,
  VERSION_CONFLICT: 412,
  SECRET_MISSING: 503,
  INBOX_FULL: 503,
  INBOX_UNAVAILABLE: 503,
  LEDGER_UNAVAILABLE: 503,
  TEMPORAL_UNAVAILABLE: 503,
  SOURCE_UNAVAILABLE: 503,
  SOURCE_THROTTLED: 503,
  QUOTA_EXHAUSTED: 503,
};

/** One answer as RFC 9457 has it; `code` is ours, from docs/errors.md. */
export interface Told {
  status: number;
  retryAfterMs: number | undefined;
  body: Record<string, unknown>;
}

/** `instance` is the id of the request, which the log has too. */
export function told(error: unknown, instance: string): Told {
  if (error instanceof Problem) {
    return tell(error.status, error.message, instance, error.retryAfterMs, error.more);
  }
  if (error instanceof HeadwaterError) {
    const status = STATUS[error.code] ?? 500;
    const detail = status < 500 || status === 502 ? error.message : (DETAILS[status] ?? error.code);
    const wait = error.retryAfterMs ?? (status === 503 ? UNAVAILABLE_RETRY_MS : undefined);
    return tell(status, detail, instance, wait, { code: error.code });
  }
  const status = ownStatus(error);
  return tell(status, DETAILS[status] ?? 'The request cannot be served.', instance, undefined, {});
}

/** The server's own errors carry a status; their messages may quote the body, so they are left out (I5). */
function ownStatus(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return 500;
  const { statusCode } = error;
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 600 ? statusCode : 500;
}

const DETAILS: Record<number, string> = {
  400: 'The request cannot be read.',
  404: 'There is nothing here.',
  408: 'The request took too long to arrive.',
  413: 'The body is larger than this server takes.',
  415: 'The content type is not one that is taken here.',
  500: 'This is our defect; the log of the server tells more.',
  // What is away, and where it would be, is for the log: strangers read this too.
  503: 'Something that is needed is away; come back in a moment.',
};

function tell(
  status: number,
  detail: string,
  instance: string,
  retryAfterMs: number | undefined,
  more: Readonly<Record<string, unknown>>,
): Told {
  const title = STATUS_CODES[status] ?? 'Error';
  const body = { type: 'about:blank', title, status, detail, instance: `urn:uuid:${instance}`, ...more };
  return { status, retryAfterMs, body };
}
