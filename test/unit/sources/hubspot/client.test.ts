import { afterEach, describe, expect, test } from '@jest/globals';
import { HeadwaterError } from '../../../../rules/errors.ts';
import { fakeAccount, TOKEN, type Answer, type FakeAccount } from './fake-account.ts';

const open: FakeAccount[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

const OAUTH = {
  kind: 'refresh_token',
  clientId: 'app',
  clientSecret: 'oauth-secret',
  refreshToken: 'refresh-me',
} as const;
const GET = { method: 'GET', path: '/crm/objects/2026-03/contacts?limit=1' } as const;

const failure = async (answer: Promise<unknown>): Promise<HeadwaterError> => {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof HeadwaterError)) throw new Error(`expected a HeadwaterError, got ${String(error)}`);
  return error;
};

/** An account whose first `expired` tokens are refused. */
async function oauthAccount(expired: number, expiresIn = 1800, now?: () => number) {
  let tokens = 0;
  const account = await fakeAccount(
    async (call): Promise<Answer> => {
      if (call.path === '/oauth/2026-03/token') {
        tokens++;
        await new Promise((resolve) => {
          setTimeout(resolve, 20);
        });
        return { body: { access_token: `access-${tokens}`, expires_in: expiresIn } };
      }
      const used = Number(/access-(\d+)$/.exec(call.headers.authorization ?? '')?.[1] ?? 0);
      if (used <= expired)
        return { status: 401, body: { category: 'EXPIRED_AUTHENTICATION', message: 'expired' } };
      return { body: { ok: used } };
    },
    { auth: OAUTH },
    now === undefined ? {} : { now },
  );
  open.push(account);
  return { ...account, tokens: () => tokens };
}

describe('tokens', () => {
  test('one refresh for all callers that meet a 401', async () => {
    const account = await oauthAccount(1);
    const answers = await Promise.all(Array.from({ length: 6 }, () => account.client.json(GET)));
    expect(answers).toEqual(Array(6).fill({ ok: 2 }));
    expect(account.tokens()).toBe(2);
    const form = new URLSearchParams(account.server.calls[0]?.body);
    expect(form.get('grant_type')).toBe('refresh_token');
    expect(form.get('refresh_token')).toBe(OAUTH.refreshToken);
    expect(account.server.calls[0]?.url.search).toBe('');
  });

  test('a token near its end is renewed before it is refused', async () => {
    let now = Date.now();
    const account = await oauthAccount(0, 1800, () => now);
    await account.client.json(GET);
    now += 29.5 * 60_000;
    await account.client.json(GET);
    expect(account.tokens()).toBe(2);
  });

  test('a refused token of a private app is final, and not in the message', async () => {
    const account = await fakeAccount(() => ({
      status: 401,
      body: { category: 'INVALID_AUTHENTICATION', message: `token ${TOKEN} is wrong` },
    }));
    open.push(account);
    const error = await failure(account.client.json(GET));
    expect(error.code).toBe('AUTH_FAILED');
    expect(error.message).not.toContain(TOKEN);
    expect(account.server.calls).toHaveLength(1);
  });

  test('a wrong refresh token is AUTH_FAILED without secrets', async () => {
    const account = await fakeAccount(
      () => ({
        status: 400,
        body: {
          status: 'BAD_REFRESH_TOKEN',
          message: `missing or invalid refresh token ${OAUTH.refreshToken}`,
        },
      }),
      { auth: OAUTH },
    );
    open.push(account);
    const error = await failure(account.client.json(GET));
    expect(error.code).toBe('AUTH_FAILED');
    expect(error.message).not.toContain(OAUTH.refreshToken);
    expect(error.message).not.toContain(OAUTH.clientSecret);
  });
});

describe('limits', () => {
  const refusal = (policyName: string | undefined, message = 'You have reached your limit.'): Answer => ({
    status: 429,
    body: { status: 'error', message, errorType: 'RATE_LIMIT', policyName },
  });

  test.each([refusal('DAILY'), refusal(undefined, 'You have reached your daily limit.')])(
    'the limit of the day ends the run, at once',
    async (answer) => {
      const account = await fakeAccount(() => answer);
      open.push(account);
      expect((await failure(account.client.json(GET))).code).toBe('QUOTA_EXHAUSTED');
      expect(account.server.calls).toHaveLength(1);
    },
  );

  test.each(['TEN_SECONDLY_ROLLING', 'SECONDLY', undefined])('%s is waited out', async (policy) => {
    let refused = 0;
    const account = await fakeAccount(() => (refused++ < 1 ? refusal(policy) : { body: { ok: true } }));
    open.push(account);
    const startMs = Date.now();
    expect(await account.client.json(GET)).toEqual({ ok: true });
    expect(Date.now() - startMs).toBeGreaterThanOrEqual(950);
    expect(account.context.lines).toEqual(['the source asks to slow down']);
  });

  test('Retry-After is obeyed; a long one is the step’s to wait for', async () => {
    let refused = 0;
    const short = await fakeAccount(() =>
      refused++ < 2 ? { ...refusal('TEN_SECONDLY_ROLLING'), headers: { 'retry-after': '0' } } : { body: {} },
    );
    const long = await fakeAccount(() => ({
      ...refusal('TEN_SECONDLY_ROLLING'),
      headers: { 'retry-after': '60' },
    }));
    open.push(short, long);
    await short.client.json(GET);
    expect(short.server.calls).toHaveLength(3);
    const error = await failure(long.client.json(GET));
    expect(error).toMatchObject({ code: 'SOURCE_THROTTLED', retryAfterMs: 60_000 });
    expect(long.server.calls).toHaveLength(1);
  });

  test('a source that refuses for ever is left to the step', async () => {
    const account = await fakeAccount(() => ({ ...refusal('SECONDLY'), headers: { 'retry-after': '0' } }));
    open.push(account);
    expect((await failure(account.client.json(GET))).code).toBe('SOURCE_THROTTLED');
    expect(account.server.calls).toHaveLength(5);
  });

  test('the daily limit is reported from the headers', async () => {
    const account = await fakeAccount(() => ({
      body: {},
      headers: { 'x-hubspot-ratelimit-daily': '1000', 'x-hubspot-ratelimit-daily-remaining': '900' },
    }));
    open.push(account);
    await account.client.json(GET);
    expect(account.context.quotas).toEqual([{ used: 100, limit: 1000 }]);
  });
});

describe('answers', () => {
  test.each([
    [
      403,
      {
        category: 'MISSING_SCOPES',
        errors: [{ context: { requiredGranularScopes: ['crm.objects.quotes.read'] } }],
      },
      'PERMISSION_DENIED',
    ],
    [404, { category: 'OBJECT_NOT_FOUND', message: 'resource not found' }, 'OBJECT_UNKNOWN'],
    [400, { category: 'VALIDATION_ERROR', message: 'Unable to infer object type from: x' }, 'OBJECT_UNKNOWN'],
    [400, { category: 'VALIDATION_ERROR', message: 'Invalid limit' }, 'SOURCE_REJECTED'],
    [477, {}, 'SOURCE_UNAVAILABLE'],
    [502, '<html>', 'SOURCE_UNAVAILABLE'],
  ])('%d %j is %s', async (status, body, code) => {
    const account = await fakeAccount(() => ({ status, body }));
    open.push(account);
    const error = await failure(account.client.json(GET));
    expect(error.code).toBe(code);
    if (status === 403) expect(error.message).toContain('crm.objects.quotes.read');
  });

  test('numbers keep all their digits, and half a document is no answer', async () => {
    const whole = await fakeAccount(() => ({ body: '{"n": 12345678901234567.89}' }));
    const half = await fakeAccount(() => ({ body: '{"results": [{"id": "1"' }));
    open.push(whole, half);
    expect(JSON.stringify(await whole.client.json(GET))).toContain('12345678901234567.89');
    expect((await failure(half.client.json(GET))).code).toBe('SOURCE_PROTOCOL');
  });
});
