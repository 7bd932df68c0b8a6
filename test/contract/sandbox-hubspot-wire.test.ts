import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startHubSpotSandbox, type HubSpotSandbox } from '../../sandbox/hubspot/server.ts';

let sandbox: HubSpotSandbox;
const UNLIMITED = { tenSecondCallsMax: 100_000, searchesPerSecondMax: 100_000 };

beforeEach(async () => {
  sandbox = await startHubSpotSandbox({ records: 2000, seed: 3, ...UNLIMITED });
});
afterEach(() => sandbox.close());

interface Item {
  readonly id: string;
  readonly updatedAt: string;
  readonly properties: Readonly<Record<string, string | null>>;
}

/** What the tests look at; each answer has some of it. */
interface Body {
  readonly results: readonly Item[];
  readonly total: number;
  readonly paging: { readonly next: { readonly after: string } };
  readonly properties: Item['properties'];
  readonly category: string;
  readonly errorType: string;
  readonly policyName: string;
  readonly code: string;
  readonly calls: Readonly<Record<string, number>>;
  readonly access_token: string;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
  token = sandbox.privateToken,
): Promise<Answer> {
  const answer = await fetch(sandbox.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text === '' ? {} : JSON.parse(text) };
}

const SEARCH = '/crm/objects/2026-03/contacts/search';
const search = (more: Record<string, unknown> = {}): Promise<Answer> =>
  call('POST', SEARCH, { limit: 200, ...more });
const one = (propertyName: string, operator: string, value?: string): Record<string, unknown> => ({
  filterGroups: [{ filters: [{ propertyName, operator, ...(value === undefined ? {} : { value }) }] }],
});

test('numbered and dated paths answer the same; a layout that mixes them does not', async () => {
  const pairs = [
    ['/crm/v3/objects/contacts?limit=2', '/crm/objects/2026-03/contacts?limit=2'],
    ['/crm/v3/objects/0-2?limit=2&archived=false', '/crm/objects/2026-09-beta/company?limit=2'],
    ['/crm/v3/properties/deals', '/crm/properties/2026-03/deals'],
    ['/crm/v4/associations/contacts/companies/labels', '/crm/associations/2026-03/contacts/companies/labels'],
    ['/crm-object-schemas/v3/schemas', '/crm-object-schemas/2026-03/schemas'],
    ['/crm/v3/owners/', '/crm/owners/2026-03'],
    ['/crm/v3/pipelines/deals', '/crm/pipelines/2026-03/deals'],
    ['/account-info/v3/details', '/account-info/2026-03/details'],
  ];
  for (const [old = '', dated = ''] of pairs) {
    const [first, second] = [await call('GET', old), await call('GET', dated)];
    expect([old, first.status]).toEqual([old, 200]);
    const { paging: _first, ...left } = first.body;
    const { paging: _second, ...right } = second.body;
    expect(right).toEqual(left);
  }
  expect((await call('GET', '/crm/2026-03/objects/contacts')).status).toBe(404);
  expect((await call('GET', '/crm/objects/v3/contacts')).status).toBe(404);
  expect((await call('GET', '/crm/objects/2026-03/nonsense')).status).toBe(400);
});

test('the dated token endpoint gives tokens, and introspection tells about them', async () => {
  const app = { client_id: sandbox.clientId, client_secret: sandbox.clientSecret };
  const code = sandbox.tokens.issueCode('http://127.0.0.1/cb');
  const post = async (path: string, form: Record<string, string>): Promise<Body> => {
    const answer = await fetch(`${sandbox.url}/oauth/2026-03/${path}`, {
      method: 'POST',
      body: new URLSearchParams({ ...app, ...form }),
    });
    return JSON.parse(await answer.text());
  };
  const form = { grant_type: 'authorization_code', code, redirect_uri: 'http://127.0.0.1/cb' };
  const granted = await post('token', form);
  expect(granted).toMatchObject({ token_type: 'bearer', expires_in: 1800, hub_id: sandbox.portalId });
  const token = granted.access_token;
  expect((await call('GET', '/crm/objects/2026-03/deals', undefined, token)).status).toBe(200);
  expect(await post('token/introspect', { token })).toMatchObject({
    active: true,
    token_use: 'access_token',
  });
  sandbox.tokens.expireAll();
  expect(await post('token/introspect', { token })).toEqual({ active: false });
  const refused = await call('GET', '/crm/objects/2026-03/deals', undefined, token);
  expect([refused.status, refused.body.category]).toEqual([401, 'EXPIRED_AUTHENTICATION']);
  const stranger = await call('GET', '/crm/objects/2026-03/deals', undefined, 'made-up');
  expect([stranger.status, stranger.body.category]).toEqual([401, 'INVALID_AUTHENTICATION']);
  expect(await post('token', { grant_type: 'refresh_token', refresh_token: 'made-up' })).toMatchObject({
    error: 'invalid_grant',
  });
});

test('each limit on a request is held', async () => {
  const ids = (count: number): { id: string }[] =>
    Array.from({ length: count }, (_, n) => ({ id: sandbox.data.idOf('contacts', n) }));
  const read = (count: number, more = {}): Promise<Answer> =>
    call('POST', '/crm/objects/2026-03/contacts/batch/read', {
      inputs: ids(count),
      properties: ['email'],
      ...more,
    });
  expect((await read(100)).body.results).toHaveLength(100);
  expect((await read(101)).status).toBe(400);
  expect((await read(51, { propertiesWithHistory: ['email'] })).status).toBe(400);
  expect((await read(50, { propertiesWithHistory: ['email'] })).status).toBe(200);
  expect((await call('GET', '/crm/objects/2026-03/contacts?limit=101')).status).toBe(400);
  expect((await search({ limit: 201 })).status).toBe(400);
  expect((await search({ sorts: ['email', 'lastname'] })).status).toBe(400);
  expect((await search({ filterGroups: Array.from({ length: 6 }, () => ({ filters: [] })) })).status).toBe(
    400,
  );
  expect((await search(one('email', 'ALMOST', 'x'))).status).toBe(400);
  expect((await search(one('nonsense', 'EQ', 'x'))).status).toBe(400);
  const links = '/crm/associations/2026-03/contacts/companies/batch/read';
  const many = Array.from({ length: 1001 }, (_, n) => ({ id: String(51 + n * 50) }));
  expect((await call('POST', links, { inputs: many })).status).toBe(400);
  expect((await call('POST', links, { inputs: many.slice(1) })).status).toBe(207);
});

test('nothing can be read beyond ten thousand results', async () => {
  await sandbox.close();
  sandbox = await startHubSpotSandbox({ objects: { contacts: 10_300 }, records: 100, ...UNLIMITED });
  const last = await search({ after: '9900', sorts: ['lastmodifieddate'] });
  expect(last.body.total).toBe(10_300);
  expect(last.body.results).toHaveLength(100);
  expect(last.body.paging.next.after).toBe('10000');
  const beyond = await search({ after: '10000', sorts: ['lastmodifieddate'] });
  expect([beyond.status, beyond.body.category]).toEqual([400, 'VALIDATION_ERROR']);
});

test('more rows than that in one millisecond are drained by id', async () => {
  const at = Date.now();
  expect(sandbox.data.touchMany('contacts', 1, { at })).toBe(1000);
  const found: number[] = [];
  for (let above = '0'; ; above = String(found.at(-1))) {
    const filters = [
      { propertyName: 'lastmodifieddate', operator: 'EQ', value: String(at) },
      { propertyName: 'hs_object_id', operator: 'GT', value: above },
    ];
    const page = await search({ filterGroups: [{ filters }], sorts: ['hs_object_id'] });
    if (page.body.results.length === 0) break;
    found.push(...page.body.results.map((row) => Number(row.id)));
  }
  expect(found).toHaveLength(1000);
  // By number and not by letter: 951 comes before 1001.
  expect(found).toEqual(found.toSorted((a, b) => a - b));
});

test('the modified date of another type matches nothing, without an error', async () => {
  const since = String(0);
  expect((await search(one('hs_lastmodifieddate', 'GTE', since))).body).toMatchObject({
    total: 0,
    results: [],
  });
  expect((await search(one('lastmodifieddate', 'GTE', since))).body.total).toBe(1000);
  const deals = (name: string) => call('POST', '/crm/objects/2026-03/deals/search', one(name, 'GTE', since));
  expect((await deals('lastmodifieddate')).body.total).toBe(0);
  expect((await deals('hs_lastmodifieddate')).body.total).toBe(200);
});

test('search shows a change after the lag, a read shows it at once', async () => {
  sandbox.behaviour.searchLagMs = 60_000;
  const id = sandbox.data.idOf('contacts', 5);
  const before = sandbox.data.get('contacts', 5).values['firstname'];
  sandbox.data.update('contacts', 5, { firstname: 'Late' });
  const made = sandbox.data.create('contacts', { email: 'late@example.com' });
  sandbox.data.archive('contacts', 6);
  const named = async (value: string): Promise<unknown> => {
    const page = await search({ ...one('hs_object_id', 'EQ', value), properties: ['firstname'] });
    return page.body.results.map((row) => row.properties['firstname']);
  };
  expect([await named(id), await named(made), await named(sandbox.data.idOf('contacts', 6))]).toEqual([
    [before],
    [],
    [expect.anything()],
  ]);
  const read = await call('GET', `/crm/objects/2026-03/contacts/${id}?properties=firstname`);
  expect(read.body.properties['firstname']).toBe('Late');
  sandbox.clock.advance(60_000);
  expect([await named(id), await named(made), await named(sandbox.data.idOf('contacts', 6))]).toEqual([
    ['Late'],
    [null],
    [],
  ]);
});

test('three kinds of 429, told apart by their policy and without Retry-After', async () => {
  const first = await call('GET', '/crm/objects/2026-03/deals');
  expect(first.headers.get('x-hubspot-ratelimit-max')).toBe('100000');
  expect(first.headers.get('x-hubspot-ratelimit-interval-milliseconds')).toBe('10000');
  expect((await search()).headers.get('x-hubspot-ratelimit-max')).toBeNull();
  const policy = async (path = '/crm/objects/2026-03/deals', method = 'GET'): Promise<unknown> => {
    const answer = await call(method, path, method === 'GET' ? undefined : {});
    expect(answer.headers.get('retry-after')).toBeNull();
    return answer.status === 429 ? [answer.body.errorType, answer.body.policyName] : answer.status;
  };
  Object.assign(sandbox.behaviour, { searchesPerSecondMax: 2 });
  sandbox.limits.reset();
  expect([await policy(SEARCH, 'POST'), await policy(SEARCH, 'POST')]).toEqual([200, 200]);
  expect(await policy(SEARCH, 'POST')).toEqual(['RATE_LIMIT', 'SECONDLY']);
  expect(await policy()).toBe(200);
  Object.assign(sandbox.behaviour, { tenSecondCallsMax: 3 });
  expect(await policy()).toEqual(['RATE_LIMIT', 'TEN_SECONDLY_ROLLING']);
  Object.assign(sandbox.behaviour, { tenSecondCallsMax: 1000, dailyCallsMax: 3 });
  expect(await policy()).toEqual(['RATE_LIMIT', 'DAILY']);
  sandbox.clock.advance(86_400_000);
  expect(await policy()).toBe(200);
  const usage = await call('GET', '/account-info/2026-03/api-usage/daily/private-apps');
  expect(usage.body.results).toMatchObject([{ usageLimit: 3, currentUsage: 2 }]);
});

test('faults by the control endpoint', async () => {
  const control = (name: string, body: unknown): Promise<Answer> => call('POST', `/__sandbox/${name}`, body);
  const fault = (action: unknown, times = 1): Promise<Answer> =>
    control('faults', { match: { path: '/contacts/', times }, action });
  await fault({ rateLimit: 'DAILY', retryAfterS: 7 });
  const refused = await search();
  expect([refused.status, refused.body.policyName, refused.headers.get('retry-after')]).toEqual([
    429,
    'DAILY',
    '7',
  ]);
  await fault({ status: 502, body: '<html>Bad gateway</html>' });
  expect((await fetch(`${sandbox.url}${SEARCH}`, { method: 'POST' })).status).toBe(502);
  await fault({ shuffle: true });
  const stamps = async (): Promise<string[]> =>
    (await search({ sorts: ['lastmodifieddate'] })).body.results.map((row) => row.updatedAt);
  const shuffled = await stamps();
  expect(shuffled).not.toEqual(shuffled.toSorted());
  expect(await stamps()).toEqual(shuffled.toSorted());
  await fault({ truncateAfterBytes: 500 });
  await expect(search()).rejects.toThrow();
  await fault({ truncateAfterBytes: 500, clean: true });
  await expect(search()).rejects.toThrow('JSON');
  await fault({ bytesPerSecond: 20_000 });
  const start = performance.now();
  await search({ limit: 20 });
  expect(performance.now() - start).toBeGreaterThan(100);
  await fault({ expireToken: true });
  const expired = await call('POST', SEARCH, {}, sandbox.tokens.issue('access'));
  expect([expired.status, expired.body.category]).toEqual([401, 'EXPIRED_AUTHENTICATION']);
  const code = await control('authorization-code', { redirectUri: 'http://127.0.0.1/cb' });
  expect(code.body.code).toMatch(/^[0-9a-f]{24}$/);
  expect((await call('GET', '/__sandbox/stats')).body.calls).toMatchObject({ 'search contacts': 8 });
});

test('a living account changes in every way, and the counts stay true', async () => {
  await call('POST', '/__sandbox/living', { steps: 3000 });
  for (const object of ['contacts', 'companies', 'deals', 'tickets']) {
    const seen = { live: 0, archived: 0 };
    for await (const row of sandbox.data.truth(object)) seen[row.archived ? 'archived' : 'live']++;
    expect((await call('GET', `/__sandbox/count?object=${object}`)).body).toEqual(seen);
    const page = await call('POST', `/crm/objects/2026-03/${object}/search`, { limit: 1 });
    expect(page.body.total).toBe(seen.live);
    expect(seen.archived).toBeGreaterThan(0);
  }
  const merged = await search(one('hs_merged_object_ids', 'HAS_PROPERTY'));
  expect(merged.body.total).toBeGreaterThan(5);
});
