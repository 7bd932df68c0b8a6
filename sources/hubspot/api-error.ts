import { z } from 'zod';
import { HeadwaterError, type ErrorCode } from '../../rules/errors.ts';
import { httpError, vendorCode, vendorWords, type HttpFailure } from '../http.ts';
import { PLAIN_CATEGORIES, READ_IN } from './plain-texts.ts';

export type Throttle = 'daily' | 'burst';

const errorSchema = z.object({
  message: z.string().nullish(),
  category: z.string().nullish(),
  subCategory: z.unknown().optional(),
  policyName: z.string().nullish(),
  errorType: z.string().nullish(),
  errors: z
    .array(z.object({ code: z.string().nullish(), context: z.record(z.string(), z.unknown()).nullish() }))
    .nullish(),
});
const oauthErrorSchema = z.object({ error: z.string(), error_description: z.string().nullish() });

type ApiAnswer = z.output<typeof errorSchema>;

const CATEGORIES: Record<string, ErrorCode> = {
  MISSING_SCOPES: 'PERMISSION_DENIED',
  INVALID_AUTHENTICATION: 'AUTH_FAILED',
  EXPIRED_AUTHENTICATION: 'AUTH_FAILED',
};

/** What an answer other than 2xx means: HubSpot's category first, the HTTP status where that says nothing. */
export function apiError(failure: HttpFailure, where: string): HeadwaterError {
  const answer = parseError(failure.text);
  const category = vendorCode(answer.category ?? answer.errorType ?? 'uncategorised');
  const words = vendorWords(category, answer.message ?? '', { codes: PLAIN_CATEGORIES, readIn: READ_IN });
  const said = words === '' ? '' : `${category}: ${words}`;
  const plain = httpError(failure, where, said);
  const scopes = missingScopes(answer);
  const code = codeFor(failure, answer) ?? plain.code;
  const wait = plain.retryAfterMs ?? failure.retryAfterMs;
  return new HeadwaterError(
    code,
    scopes.length === 0 ? plain.message : `${where} needs the scope ${scopes.join(' or ')}`,
    {
      details: {
        ...plain.details,
        ...(answer.category === null || answer.category === undefined
          ? {}
          : { errorCode: vendorCode(answer.category) }),
        ...(answer.policyName === null || answer.policyName === undefined
          ? {}
          : { policy: vendorCode(answer.policyName) }),
        ...reasonOf(answer),
      },
      ...(wait === undefined ? {} : { retryAfterMs: wait }),
    },
  );
}

function codeFor(failure: HttpFailure, answer: ApiAnswer): ErrorCode | undefined {
  if (failure.status === 429) return throttleOf(failure) === 'daily' ? 'QUOTA_EXHAUSTED' : 'SOURCE_THROTTLED';
  if (failure.status === 404 || /unable to infer object type/i.test(answer.message ?? ''))
    return 'OBJECT_UNKNOWN';
  // 423 and 477: the account is locked or on its way to another data centre, for a while.
  if (failure.status === 423 || failure.status === 477) return 'SOURCE_UNAVAILABLE';
  return CATEGORIES[answer.category ?? ''];
}

/** A 429 for the day's calls is over tomorrow, one for ten seconds or one second in a moment; both have the same status. */
export function throttleOf(failure: Pick<HttpFailure, 'text'>): Throttle {
  const { policyName, message } = parseError(failure.text);
  if (policyName !== null && policyName !== undefined) return /^DAILY/i.test(policyName) ? 'daily' : 'burst';
  return /daily/i.test(message ?? '') ? 'daily' : 'burst';
}

/** The first property that was refused, and why: names and codes, never what was sent. */
function reasonOf({ errors }: ApiAnswer): { reason?: string; field?: string } {
  const [first] = errors ?? [];
  const named = first?.context?.['propertyName'];
  const field: unknown = Array.isArray(named) ? named[0] : named;
  return {
    ...(typeof first?.code === 'string' ? { reason: vendorCode(first.code) } : {}),
    ...(typeof field === 'string' && /^\w{1,250}$/.test(field) ? { field } : {}),
  };
}

/** Names of scopes are no secret: they are what an operator has to grant. */
function missingScopes(answer: ApiAnswer): string[] {
  const found = (answer.errors ?? []).flatMap(({ context }) =>
    ['requiredGranularScopes', 'requiredScopes'].flatMap((name) => {
      const scopes = context?.[name];
      return Array.isArray(scopes) ? scopes.filter((scope) => typeof scope === 'string') : [];
    }),
  );
  return [...new Set(found)].filter((scope) => /^[\w.-]{1,80}$/.test(scope)).slice(0, 5);
}

export function parseError(text: string): ApiAnswer {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // HTML of a proxy, or JSON cut at 4 KB: the status decides.
  }
  const oauth = oauthErrorSchema.safeParse(parsed).data;
  const answer = errorSchema.safeParse(parsed).data ?? {};
  if (oauth === undefined) return answer;
  return { ...answer, message: answer.message ?? `${oauth.error} ${oauth.error_description ?? ''}` };
}
