import { afterEach, expect, test } from '@jest/globals';
import { generateKeyPair, exportPKCS8, decodeJwt } from 'jose';
import { HeadwaterError } from '../../../../rules/errors.ts';
import { salesforceConfigSchema, type SalesforceConfigInput } from '../../../../sources/salesforce/index.ts';
import { SalesforceClient } from '../../../../sources/salesforce/client.ts';
import { reply, startFake, testContext, type FakeCall, type FakeServer } from '../fake-server.ts';

const SECRET = 'client-secret-value';
const TOKEN = (n: number): string => `00D000000000001!AQ.token${n}`;
const open: { close: () => Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

/** An org whose first `expired` tokens are refused; the answer to a call comes from `api`. */
async function org(
  api: (call: FakeCall) => { status: number; body: unknown; headers?: Record<string, string> },
  options: {
    expired?: number;
    auth?: SalesforceConfigInput['auth'];
    token?: { status: number; body: unknown };
  } = {},
): Promise<{ server: FakeServer; client: SalesforceClient; context: ReturnType<typeof testContext> }> {
  let tokens = 0;
  const server = await startFake(async (call, response) => {
    if (call.path === '/services/oauth2/token') {
      tokens++;
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
      const granted = { access_token: TOKEN(tokens), instance_url: server.url, id: 'https://x/id/00D/005' };
      reply(response, options.token?.status ?? 200, options.token?.body ?? granted);
      return;
    }
    const used = Number(/token(\d+)$/.exec(call.headers.authorization ?? '')?.[1] ?? 0);
    if (used <= (options.expired ?? 0)) {
      reply(response, 401, [{ errorCode: 'INVALID_SESSION_ID', message: 'Session expired or invalid' }]);
      return;
    }
    const { status, body, headers } = api(call);
    reply(response, status, body, headers);
  });
  const config = salesforceConfigSchema.parse({
    kind: 'salesforce',
    loginUrl: server.url,
    auth: options.auth ?? { grant: 'client_credentials', clientId: 'app', clientSecret: SECRET },
    objects: 'all',
  });
  const context = testContext();
  const client = new SalesforceClient(config, context);
  open.push(client, server);
  return { server, client, context };
}

const failure = async (answer: Promise<unknown>): Promise<HeadwaterError> => {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof HeadwaterError)) throw new Error(`expected a HeadwaterError, got ${String(error)}`);
  return error;
};

test('metadata goes by jsforce over our HTTP client, with token bucket and quota', async () => {
  const { client, context, server } = await org((call) => ({
    status: 200,
    body: { sobjects: [], path: call.path },
    headers: { 'sforce-limit-info': 'api-usage=18/15000' },
  }));
  const metadata = await client.metadata();
  expect(await metadata.describeGlobal()).toEqual({ sobjects: [], path: '/services/data/v66.0/sobjects' });
  expect(context.acquired()).toBe(2);
  expect(context.quotas).toEqual([{ used: 18, limit: 15000 }]);
  expect(server.calls.at(-1)?.headers['user-agent']).toBeUndefined();
});

test('20 callers that meet an expired token share exactly one refresh', async () => {
  const { client, server } = await org(() => ({ status: 200, body: { ok: true } }), { expired: 1 });
  await client.login();
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => client.json({ method: 'GET', path: client.path('limits') })),
  );
  expect(answers).toHaveLength(20);
  expect(server.calls.filter((call) => call.path === '/services/oauth2/token')).toHaveLength(2);
});

test('a token that is refused again after the refresh ends as AUTH_FAILED, without the token in the message', async () => {
  const { client } = await org(() => ({ status: 200, body: {} }), { expired: 99 });
  const error = await failure(client.json({ method: 'GET', path: client.path('limits') }));
  expect(error.code).toBe('AUTH_FAILED');
  expect(error.message).not.toContain('token1');
});

test.each([
  [400, 'invalid_grant', 'AUTH_FAILED'],
  [401, 'invalid_client', 'AUTH_FAILED'],
  [503, 'unavailable', 'SOURCE_UNAVAILABLE'],
])('a log-in answered %d %s is %s', async (status, name, code) => {
  const { client } = await org(() => ({ status: 200, body: {} }), {
    token: { status, body: { error: name, error_description: `no access with ${SECRET}` } },
  });
  const error = await failure(client.login());
  expect(error.code).toBe(code);
  expect(`${error.message} ${String(error.cause)}`).not.toContain(SECRET);
});

test('a failed log-in is not remembered', async () => {
  const answers = { status: 503, body: {} as unknown };
  const { client, server } = await org(() => ({ status: 200, body: {} }), { token: answers });
  await failure(client.login());
  answers.status = 200;
  answers.body = { access_token: TOKEN(2), instance_url: server.url };
  await expect(client.login()).resolves.toBe(server.url);
});

test('an instance URL without TLS is refused before the token is sent there', async () => {
  const body = { access_token: TOKEN(1), instance_url: 'http://elsewhere.example' };
  const { client } = await org(() => ({ status: 200, body: {} }), { token: { status: 200, body } });
  expect((await failure(client.login())).code).toBe('SOURCE_PROTOCOL');
});

test('JWT bearer signs issuer, subject, audience and a short life', async () => {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const auth = {
    grant: 'jwt_bearer',
    clientId: 'app',
    username: 'sync@example.com',
    privateKey: await exportPKCS8(privateKey),
  } as const;
  const { client, server } = await org(() => ({ status: 200, body: {} }), { auth });
  await client.login();
  const sent = new URLSearchParams(server.calls[0]?.body);
  expect(sent.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
  const claims = decodeJwt(sent.get('assertion') ?? '');
  expect(claims).toMatchObject({ iss: 'app', sub: 'sync@example.com', aud: server.url });
  expect((claims.exp ?? 0) * 1000 - Date.now()).toBeLessThanOrEqual(180_000);
});

test('refresh token sends the token and no secret when there is none', async () => {
  const auth = { grant: 'refresh_token', clientId: 'app', refreshToken: 'r-1' } as const;
  const { client, server } = await org(() => ({ status: 200, body: {} }), { auth });
  await client.login();
  expect(Object.fromEntries(new URLSearchParams(server.calls[0]?.body))).toEqual({
    grant_type: 'refresh_token',
    refresh_token: 'r-1',
    client_id: 'app',
  });
});

test.each([
  [403, 'REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.', 'QUOTA_EXHAUSTED'],
  [403, 'REQUEST_LIMIT_EXCEEDED', 'ConcurrentPerOrgLongTxn Limit exceeded.', 'SOURCE_THROTTLED'],
  [403, 'INSUFFICIENT_ACCESS', 'insufficient access rights', 'PERMISSION_DENIED'],
  [400, 'QUERY_TIMEOUT', 'Your query request was running for too long.', 'SOURCE_UNAVAILABLE'],
  [400, 'UNABLE_TO_LOCK_ROW', 'unable to obtain exclusive access', 'SOURCE_UNAVAILABLE'],
  [400, 'INVALID_QUERY_LOCATOR', 'invalid query locator', 'JOB_LOST'],
  [400, 'INVALID_TYPE', "sObject type 'Nope' is not supported", 'OBJECT_UNKNOWN'],
  [400, 'MALFORMED_QUERY', 'unexpected token', 'SOURCE_REJECTED'],
  [404, 'NOT_FOUND', 'The requested resource does not exist', 'SOURCE_REJECTED'],
  [503, 'SERVER_UNAVAILABLE', 'try later', 'SOURCE_UNAVAILABLE'],
])('%d %s (%s) is %s', async (status, errorCode, message, code) => {
  const { client } = await org(() => ({ status, body: [{ errorCode, message }] }));
  const error = await failure(client.json({ method: 'GET', path: client.path('limits') }));
  expect(error.code).toBe(code);
  expect(error.details).toMatchObject({ status, errorCode });
});

test('INVALID_FIELD names the field', async () => {
  const message =
    "\nSELECT Id,Secret__c FROM Contact\n ^\nERROR at Row:1:Column:11\nNo such column 'Secret__c' on entity 'Contact'.";
  const { client } = await org(() => ({ status: 400, body: [{ errorCode: 'INVALID_FIELD', message }] }));
  const error = await failure(client.json({ method: 'GET', path: client.path('query?q=x') }));
  expect(error.code).toBe('SOURCE_REJECTED');
  expect(error.details['field']).toBe('Secret__c');
  expect(error.message).not.toContain('SELECT');
});
