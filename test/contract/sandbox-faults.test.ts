import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { startSalesforceSandbox, type SalesforceSandbox } from '../../sandbox/salesforce/server.ts';
import { API, loginTo, type BareClient } from '../support/sandbox-client.ts';

let sandbox: SalesforceSandbox;
let client: BareClient;

beforeAll(async () => {
  sandbox = await startSalesforceSandbox({ records: 8000, seed: 2 });
});
afterAll(() => sandbox.close());
beforeEach(async () => {
  sandbox.faults.clear();
  client = await loginTo(sandbox);
});

const QUERY = `${API}/query?q=${encodeURIComponent('SELECT Id FROM Contact')}`;

test('the n-th matching request gets the status, body and headers of the rule', async () => {
  sandbox.faults.add({
    match: { path: '/query?', nth: 2 },
    action: { status: 429, headers: { 'retry-after': '7' } },
  });
  const answers = [await client.get(QUERY), await client.get(QUERY), await client.get(QUERY)];
  expect(answers.map((answer) => answer.status)).toEqual([200, 429, 200]);
  expect(answers[1]?.headers.get('retry-after')).toBe('7');
});

test('a truncated body breaks the connection, or ends as if it were whole', async () => {
  sandbox.faults.add({ match: { path: '/query?', times: 1 }, action: { truncateAfterBytes: 1000 } });
  await expect(client.get(QUERY).then((answer) => answer.text())).rejects.toThrow();
  sandbox.faults.add({
    match: { path: '/query?', times: 1 },
    action: { truncateAfterBytes: 1000, clean: true },
  });
  expect(await client.get(QUERY).then((answer) => answer.text())).toHaveLength(1000);
});

test('a reset before the work leaves the row, a reset after it does not', async () => {
  const path = `${API}/sobjects/Contact/${sandbox.data.idOf('Contact', 1)}`;
  for (const [action, title] of [
    [{ reset: true }, undefined],
    [{ resetAfterWork: true }, 'written'],
  ] as const) {
    sandbox.faults.clear();
    sandbox.faults.add({ match: { method: 'PATCH' }, action });
    await expect(client.send('PATCH', path, { Title: 'written' })).rejects.toThrow();
    if (title === undefined) expect(sandbox.data.get('Contact', 1)?.values['Title']).not.toBe('written');
    else expect(sandbox.data.get('Contact', 1)?.values['Title']).toBe(title);
  }
});

test('a slow body comes whole, in its time', async () => {
  sandbox.faults.add({ match: { path: '/query?' }, action: { bytesPerSecond: 20_000 } });
  const begun = Date.now();
  const answer = await client.query('SELECT Id FROM Account LIMIT 60');
  expect(answer.records).toHaveLength(60);
  expect(Date.now() - begun).toBeGreaterThan(250);
});

test('a hung request ends only by the client', async () => {
  sandbox.faults.add({ match: { path: '/query?' }, action: { hang: true } });
  const signal = AbortSignal.timeout(150);
  await expect(
    fetch(sandbox.url + QUERY, { signal, headers: { authorization: `Bearer ${client.token}` } }),
  ).rejects.toThrow();
});

test('no rows with 200, and a last row that is missing from a page', async () => {
  sandbox.faults.add({ match: { path: '/query?', nth: 1 }, action: { emptyOk: true } });
  sandbox.faults.add({ match: { path: '/query?', nth: 2 }, action: { lastRowDropped: true } });
  const empty = await client.query('SELECT Id FROM Account');
  expect([empty.totalSize, empty.records.length]).toEqual([0, 0]);
  const short = await client.query('SELECT Id FROM Account');
  expect(short.records.length).toBe(short.totalSize - 1);
});

test('tokens expire by fault, by age and by revocation', async () => {
  sandbox.faults.add({ match: { path: '/query?', times: 1 }, action: { expireToken: true } });
  const refused = await client.get(QUERY);
  expect(refused.status).toBe(401);
  expect(await refused.text()).toContain('INVALID_SESSION_ID');
  const second = await loginTo(sandbox);
  expect((await second.get(QUERY)).status).toBe(200);
  sandbox.clock.advance(3 * 3_600_000);
  expect((await second.get(QUERY)).status).toBe(401);
  const third = await loginTo(sandbox);
  await fetch(`${sandbox.url}/services/oauth2/revoke`, {
    method: 'POST',
    body: new URLSearchParams({ token: third.token }),
  });
  expect((await third.get(QUERY)).status).toBe(401);
});

test('a failed and an expired job', async () => {
  const made = await client.send('POST', `${API}/jobs/query`, {
    operation: 'query',
    query: 'SELECT Id FROM Account',
  });
  const { id }: { id: string } = JSON.parse(await made.text());
  sandbox.faults.add({
    match: { path: `/jobs/query/${id}`, times: 1 },
    action: { failJob: true, message: 'boom' },
  });
  expect(await (await client.get(`${API}/jobs/query/${id}`)).text()).toMatch(
    /"state":"Failed".*"errorMessage":"boom"/,
  );
  sandbox.faults.add({ match: { path: `/jobs/query/${id}` }, action: { expireJob: true } });
  expect((await client.get(`${API}/jobs/query/${id}`)).status).toBe(404);
});

test('the daily limit is 403, a long URI 414, a long head 431', async () => {
  const before = sandbox.behaviour.apiRequestsMax;
  sandbox.behaviour.apiRequestsMax = sandbox.stats.report().apiRequests + 1;
  expect((await client.get(QUERY)).headers.get('sforce-limit-info')).toMatch(/^api-usage=(\d+)\/\1$/);
  const refused = await client.get(QUERY);
  expect([refused.status, await refused.text()]).toEqual([
    403,
    expect.stringContaining('REQUEST_LIMIT_EXCEEDED'),
  ]);
  sandbox.clock.advance(86_400_000);
  client = await loginTo(sandbox);
  expect((await client.get(QUERY)).status).toBe(200);
  sandbox.behaviour.apiRequestsMax = before;
  expect((await client.get(`${API}/query?q=${'x'.repeat(16_400)}`)).status).toBe(414);
  expect((await client.get(QUERY, { 'x-long': 'y'.repeat(16_300) })).status).toBe(431);
});

test('rules can be set by other processes', async () => {
  const body = { match: { path: '/QUERY\\?/i', times: 1 }, action: { status: 503 } };
  expect(
    (
      await client.send('POST', '/__sandbox/faults', {
        ...body,
        match: { ...body.match, path: '/QUERY\\?/i' },
      })
    ).status,
  ).toBe(200);
  expect((await client.get(QUERY)).status).toBe(503);
  expect((await client.get(QUERY)).status).toBe(200);
});
