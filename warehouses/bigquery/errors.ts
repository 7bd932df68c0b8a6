import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import { firstLine, messageOf } from '../sql.ts';

/** "Error messages": what passes by itself, or after a wait. `stopped`: somebody cancelled the job. */
const PASSING: ReadonlySet<string> = new Set([
  ...['backendError', 'internalError', 'jobBackendError', 'jobInternalError', 'tableUnavailable', 'stopped'],
  ...['rateLimitExceeded', 'jobRateLimitExceeded', 'userRateLimitExceeded', 'quotaExceeded', 'timeout'],
  ...['resourceInUse', 'tokenExpired'],
]);
const BUSY: ReadonlySet<string> = new Set(['rateLimitExceeded', 'userRateLimitExceeded', 'backendError']);
const REFUSED: ReadonlySet<string> = new Set([
  ...[
    'accessDenied',
    'authError',
    'billingNotEnabled',
    'billingTierLimitExceeded',
    'invalidUser',
    'required',
  ],
  ...['forbidden', 'accessNotConfigured'],
]);
/** Two writers of one table: the second is stopped, and nothing of it is kept. */
const OVERTAKEN =
  /due to concurrent update|concurrent update against|too many (?:DML|table)|aborted due to|conflict on/i;
const NETWORK = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|UND_ERR|ESOCKET)/;
const BROKEN = /socket hang up|terminated|network|premature close|timed? ?out|fetch failed|aborted/i;

const thrown = z.looseObject({
  code: z.union([z.number(), z.string()]).optional().catch(undefined),
  errors: z
    .array(
      z.looseObject({
        reason: z.string().optional().catch(undefined),
        message: z.string().optional().catch(undefined),
      }),
    )
    .optional()
    .catch(undefined),
});

export interface Refusal {
  /** Of HTTP, 0 where there was no answer. */
  status: number;
  reason: string;
  message: string;
}

/** What the service or the network said; `reason` is a code of Node where there was no answer. */
export function refusalOf(error: unknown): Refusal {
  const parsed = thrown.safeParse(error);
  const { code, errors } = parsed.success ? parsed.data : {};
  const first = errors?.find(({ reason }) => reason !== undefined);
  const status = typeof code === 'number' ? code : Number(/^\d{3}$/.exec(code ?? '')?.[0] ?? 0);
  const reason = first?.reason ?? (typeof code === 'string' ? code : '');
  return { status, reason, message: (first?.message ?? messageOf(error)).split('\n', 1)[0] ?? '' };
}

/** An error of a job that has ended. */
export class JobFailure extends Error {
  override name = 'JobFailure';
  readonly errors: readonly { reason: string; message: string }[];
  constructor(reason: string, message: string) {
    super(message);
    this.errors = [{ reason, message }];
  }
}

export const isDuplicate = (error: unknown): boolean => {
  const { status, reason } = refusalOf(error);
  return status === 409 || reason === 'duplicate';
};

export const isMissing = (error: unknown): boolean => {
  const { status, reason } = refusalOf(error);
  return status === 404 || reason === 'notFound';
};

/** No answer came, or one that does not say what became of the request. */
export function isLost(error: unknown): boolean {
  const { status, reason, message } = refusalOf(error);
  // 308: an upload that did not arrive whole.
  if (status > 0) return status === 308 || status === 408 || status >= 500;
  return NETWORK.test(reason) || (reason === '' && BROKEN.test(message));
}

/** The request was lost, or it came too often and was not taken. */
export function isBusy(error: unknown): boolean {
  const { status, reason } = refusalOf(error);
  return isLost(error) || status === 429 || BUSY.has(reason);
}

export const isOvertaken = (error: unknown): boolean => OVERTAKEN.test(refusalOf(error).message);

export function isPassing(error: unknown): boolean {
  const { status, reason } = refusalOf(error);
  return isLost(error) || status === 429 || PASSING.has(reason) || isOvertaken(error);
}

/** Named by our own scripts with RAISE. */
export const raised = (error: unknown): string | undefined =>
  /headwater: ([a-z]+)/.exec(refusalOf(error).message)?.[1];

/** I5: these words are about names, rights and resources. Others may quote values: only their reason is told. */
const PLAIN_WORDS =
  /^(?:Syntax error|Unrecognized name|Not found|Access Denied|Function not found|No matching signature|Table |Column |Dataset |Query exceeded|Quota exceeded|Exceeded rate limits|Already Exists|Transaction is aborted|Could not serialize access|Permission |Resources exceeded|Unexpected |Schema update|Provided Schema|Cannot (?:query|access|read|parse SQL)|Project |Invalid (?:project|dataset|table) )/;

export function wordsOf(error: unknown): string {
  const { status, reason, message } = refusalOf(error);
  const plain = PLAIN_WORDS.test(message) || (REFUSED.has(reason) && !message.includes('{'));
  if (plain) return `${message.slice(0, 300)}${reason === '' ? '' : ` (${reason})`}`;
  if (reason !== '') return status > 0 ? `error ${reason} of BigQuery, status ${status}` : `error ${reason}`;
  return status > 0 ? `status ${status} of BigQuery` : firstLine(error);
}

/** I5: what the library throws holds the request, so it is not kept as a cause. */
export function wrapped(what: string, error: unknown): HeadwaterError {
  if (error instanceof HeadwaterError) return error;
  const message = `${what}: ${wordsOf(error)}`;
  const { status, reason } = refusalOf(error);
  if (REFUSED.has(reason) || status === 401)
    return new HeadwaterError('WAREHOUSE_REJECTED', message, {
      remedy: '`npx headwater check` prints the grants that are missing; see docs/warehouses/bigquery.md.',
    });
  return new HeadwaterError(isPassing(error) ? 'WAREHOUSE_UNAVAILABLE' : 'WAREHOUSE_REJECTED', message);
}
