import { describe, expect, test } from '@jest/globals';
import type { ExtractContext } from '../../sources/source.ts';
import {
  connect,
  connectTo,
  failure,
  first,
  freshAccount,
  idle,
  MINUTE_MS,
  now,
  oauthOf,
  ROWS,
  sandbox,
  startAccount,
  windowFrom,
  worldOf,
} from './hubspot-fixture.ts';
import { readPages } from './read-pages.ts';
import { load } from './source-suite.ts';

freshAccount();

const calls = (kind: string): number => sandbox.stats.get(kind) ?? 0;
const lastDay = (): number => sandbox.clock.now() - 86_400_000;

describe('answers that are not whole', () => {
  test('rows that are not in order end the read', async () => {
    const source = connect();
    for (let n = 0; n < 50; n++)
      sandbox.data.update('contacts', n, { lastname: 'x' }, { at: sandbox.clock.now() + n });
    sandbox.clock.advance(MINUTE_MS);
    sandbox.faults.add({ match: { path: '/search', nth: 2 }, action: { shuffle: true } });
    const error = await failure(load(worldOf(source), await windowFrom(source, lastDay())));
    expect(error).toMatchObject({ code: 'SOURCE_PROTOCOL', message: expect.stringContaining('not ordered') });
  });

  test.each([
    ['/search', { truncateAfterBytes: 900 }],
    ['/search', { truncateAfterBytes: 900, clean: true }],
    ['/batch/read', { truncateAfterBytes: 900 }],
    ['/batch/read', { truncateAfterBytes: 900, clean: true }],
    ['/contacts?limit', { truncateAfterBytes: 900, clean: true }],
    ['/search', { emptyOk: true }],
  ] as const)('%s with %j is no success, and the slice goes on from its last page', async (path, action) => {
    const source = connect({ thresholds: { pageRows: 100, searchRows: 100 } });
    for (let n = 0; n < 350; n++)
      sandbox.data.update('contacts', n, { lastname: 'x' }, { at: sandbox.clock.now() + n });
    sandbox.clock.advance(MINUTE_MS);
    const whole = path.startsWith('/contacts');
    const request = whole ? await first(source) : await windowFrom(source, lastDay());
    const plan = await source.plan(request);
    sandbox.faults.add({ match: { path, nth: 3 }, action });
    const ids: string[] = [];
    let after: ExtractContext['after'];
    const read = async (): Promise<void> => {
      for await (const page of readPages(source.extract(request, plan.slices[0]!, { ...idle(), after }))) {
        ids.push(...(page.rows ?? []).map((row) => row['id'] ?? ''));
        after = page.cursor;
      }
    };
    expect((await failure(read())).code).toBe('SOURCE_PROTOCOL');
    expect(ids.length).toBeLessThan(350);
    await read();
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toHaveLength(whole ? ROWS : 350);
  });

  test('a batch that leaves a record out is asked for it again', async () => {
    const source = connect();
    sandbox.data.touchMany('contacts', 0.5);
    sandbox.clock.advance(MINUTE_MS);
    const request = await windowFrom(source, lastDay());
    sandbox.faults.add({ match: { path: '/batch/read', nth: 2 }, action: { lastRowDropped: true } });
    const loaded = await load(worldOf(source), request);
    expect(loaded.ids).toHaveLength(ROWS / 2);
    expect(source.lines).toEqual(['a batch read left ids out without a word']);
  });
});

describe('limits', () => {
  test.each(['TEN_SECONDLY_ROLLING', 'SECONDLY'] as const)(
    '%s: the call waits and is repeated',
    async (rateLimit) => {
      const source = connect();
      const request = await first(source);
      sandbox.faults.add({ match: { path: '/contacts?limit', nth: 3 }, action: { rateLimit } });
      sandbox.faults.add({ match: { path: '/search', nth: 1 }, action: { rateLimit, retryAfterS: 0 } });
      expect((await load(worldOf(source), request)).ids).toHaveLength(ROWS);
      expect(source.lines).toEqual(Array(2).fill('the source asks to slow down'));
    },
  );

  test('the limit of the day is told apart: the run ends deferred, and the next one goes on', async () => {
    const source = connect();
    const request = await first(source);
    sandbox.behaviour.dailyCallsMax = sandbox.limits.daily + 5;
    expect((await failure(load(worldOf(source), request))).code).toBe('QUOTA_EXHAUSTED');
    expect(source.quotas()).toBeGreaterThan(2);
    expect(source.lines).toEqual([]);
    sandbox.behaviour.dailyCallsMax = 1_000_000;
    expect(await source.quota()).toEqual({ used: expect.any(Number), limit: 1_000_000 });
    expect((await load(worldOf(source), request)).ids).toHaveLength(ROWS);
  });

  test('searches keep to the pace that HubSpot grants, without a single refusal', async () => {
    const account = await startAccount({ searchesPerSecondMax: 5, tenSecondCallsMax: 190 });
    const { source, lines } = connectTo(account, {
      thresholds: { callsPer10s: 190, searchesPerSecond: 4 },
    });
    try {
      const schema = await source.describe('contacts');
      const until = new Date(account.clock.now()).toISOString();
      const from = '2001-01-01T00:00:00.000Z';
      const counts = await Promise.all(
        Array.from({ length: 12 }, () => source.count(schema, { from, until })),
      );
      expect(counts).toEqual(Array(12).fill(ROWS));
      expect(lines).toEqual([]);
    } finally {
      await source.close();
      await account.close();
    }
  });
});

describe('tokens', () => {
  test('a token that expires in mid-extract is refreshed once for all readers', async () => {
    const source = connect({ auth: oauthOf(sandbox) });
    const request = await first(source);
    const plan = await source.plan(request);
    const before = calls('POST oauth');
    let expired = false;
    const readers = Array.from({ length: 5 }, async () => {
      const ids: string[] = [];
      for await (const page of readPages(source.extract(request, plan.slices[0]!, idle()))) {
        ids.push(...(page.rows ?? []).map((row) => row['id'] ?? ''));
        if (!expired) sandbox.tokens.expireAll();
        expired = true;
      }
      return ids.length;
    });
    expect(await Promise.all(readers)).toEqual(Array(5).fill(ROWS));
    expect(calls('POST oauth') - before).toBe(1);
  });

  test('half an hour later the token is renewed before it is refused', async () => {
    const source = connect({ auth: oauthOf(sandbox) });
    await source.describe('contacts');
    sandbox.clock.advance(31 * MINUTE_MS);
    await source.describe('contacts');
    expect(calls('POST oauth')).toBe(2);
  });

  test('a wrong token is AUTH_FAILED, and check says so without it', async () => {
    const source = connect({ auth: { kind: 'token', token: 'pat-na1-wrong-token' } });
    const error = await failure(source.describe('contacts'));
    expect(error.code).toBe('AUTH_FAILED');
    const lines = await source.check();
    expect(lines).toMatchObject([{ check: 'token', ok: false }]);
    expect(JSON.stringify([lines, error.message])).not.toContain('wrong-token');
  });

  test('a revoked app is AUTH_FAILED', async () => {
    const revoked = connect({ auth: oauthOf(sandbox) });
    const token = await failure(
      (async () => {
        await revoked.describe('contacts');
        sandbox.faults.add({
          match: { path: '/oauth/' },
          action: { status: 400, body: '{"error":"invalid_grant"}' },
        });
        sandbox.tokens.expireAll();
        await revoked.describe('contacts');
      })(),
    );
    expect(token.code).toBe('AUTH_FAILED');
  });
});

test('an unknown object is OBJECT_UNKNOWN, and check names it', async () => {
  expect((await failure(connect().describe('nonsense'))).code).toBe('OBJECT_UNKNOWN');
  const lines = await connect({ objects: ['contacts', 'nonsense', 'contacts~companies'] }).check();
  expect(lines).toMatchObject([
    { check: 'token', ok: true },
    { check: 'objects', ok: false, detail: 'nonsense: not an object of this account' },
    { check: 'calls per day', ok: true },
  ]);
});

test('an object without its scope is named with the scope', async () => {
  const body = JSON.stringify({
    category: 'MISSING_SCOPES',
    errors: [{ context: { requiredGranularScopes: ['crm.objects.companies.read'] } }],
  });
  sandbox.faults.add({ match: { path: '/companies' }, action: { status: 403, body } });
  const source = connect({ objects: 'all' });
  const listing = await source.list();
  expect(listing.find((one) => one.object === 'companies')).toMatchObject({
    syncable: false,
    reason: 'the token lacks the scope crm.objects.companies.read',
  });
  expect(listing.find((one) => one.object === 'contacts~companies')?.syncable).toBe(false);
  expect(listing.find((one) => one.custom)?.object).toMatch(/^p\d+_/);
  const until = now();
  const readFrom = new Date(lastDay()).toISOString();
  const probes = await source.probe(
    ['companies', 'contacts'].map((object) => ({ object, readFrom, until })),
    new AbortController().signal,
  );
  expect(probes.map((probe) => probe.idle)).toEqual([false, expect.any(Boolean)]);
});
