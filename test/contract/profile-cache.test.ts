/** The profile API with a cache of its own and with Redis: fed from the outbox, never stale for long, never needed. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '../../servers/services.ts';
import { findRedis, startRedis, type TestRedis } from '../support/redis.ts';
import { record, START_MS, startProfileApi, type ProfileApi } from '../support/profile-api.ts';
import { patient } from '../support/patience.ts';

const binary = await findRedis();
if (typeof binary === 'string') console.warn(`SKIPPED: the profile API with Redis, ${binary}`);
const withRedis = typeof binary === 'string' ? describe.skip : describe;

/** How often the claims were asked for profiles. */
function counting(): { reads: { count: number }; wrap: (services: Services) => Services } {
  const reads = { count: 0 };
  return {
    reads,
    wrap: (services) => ({
      ...services,
      claims: async () => {
        const claims = await services.claims();
        if (claims === undefined) return undefined;
        const served: typeof claims.served = async (ids) => {
          reads.count += 1;
          return await claims.served(ids);
        };
        return { ...claims, served };
      },
    }),
  };
}

async function titleOf(api: ProfileApi, id: string): Promise<unknown> {
  return (await api.get(`/v1/profiles/${id}`)).body.fields.jobTitle.value;
}

/** How long until a change is read, ms. */
async function seenAfter(api: ProfileApi, id: string, title: string, ms: number): Promise<number> {
  await api.apply(record('contact', 'Contact', 'ann', { email: 'ann@example.org', jobTitle: title }, ms));
  const started = performance.now();
  while ((await titleOf(api, id)) !== title) {
    if (performance.now() - started > 5_000) throw new Error('the change is never seen');
    await sleep(1);
  }
  return performance.now() - started;
}

async function settled(api: ProfileApi): Promise<void> {
  for (let tries = 0; tries < 2_000; tries += 1) {
    const { body } = await api.get('/v1/health', { key: '' });
    if (body.health === 'ok') return;
    await sleep(10);
  }
  throw new Error('the cache does not come up');
}

describe('in memory', () => {
  const { reads, wrap } = counting();
  let api: ProfileApi;
  let id: string;
  beforeAll(async () => {
    api = await startProfileApi({ wrap });
    await api.apply(record('contact', 'Contact', 'ann', { email: 'ann@example.org', jobTitle: 'A' }));
    id = await api.idOf('Contact', 'ann');
    await settled(api);
  }, 60_000);
  afterAll(async () => await api.close());

  test('a stampede on one profile makes one read, and the next none', async () => {
    reads.count = 0;
    const all = await Promise.all(
      Array.from({ length: 100 }, async () => await api.get(`/v1/profiles/${id}`)),
    );
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
    expect(reads.count).toBe(1);
    await api.get(`/v1/profiles/${id}`);
    expect(reads.count).toBe(1);
  });

  test('unknown ids are not looked up again and again', async () => {
    const unknown = `p_${'1'.repeat(32)}`;
    await api.get(`/v1/profiles/${unknown}`);
    reads.count = 0;
    for (let n = 0; n < 20; n += 1) expect((await api.get(`/v1/profiles/${unknown}`)).status).toBe(404);
    expect(reads.count).toBe(0);
  });

  test('a change is read within milliseconds', async () => {
    const took: number[] = [];
    for (let n = 1; n <= 20; n += 1) took.push(await seenAfter(api, id, `B${n}`, START_MS - 1_000_000 + n));
    took.sort((left, right) => left - right);
    expect(took[10]).toBeLessThan(patient(60));
  });
});

withRedis('in Redis', () => {
  const { reads, wrap } = counting();
  let redis: TestRedis;
  let api: ProfileApi;
  let id: string;
  beforeAll(async () => {
    if (typeof binary === 'string') return;
    redis = await startRedis(binary);
    process.env['TEST_PROFILE_REDIS'] = redis.url;
    const cache = { kind: 'redis', url: { $secret: { env: 'TEST_PROFILE_REDIS' } }, prefix: 'test' };
    api = await startProfileApi({ wrap, serve: { cache } });
    await api.apply(record('contact', 'Contact', 'ann', { email: 'ann@example.org', jobTitle: 'A' }));
    id = await api.idOf('Contact', 'ann');
    await settled(api);
  }, 180_000);
  afterAll(async () => {
    await api.close();
    await redis.stop();
  });

  test('what was read once is read from Redis, and a change is read within milliseconds', async () => {
    await titleOf(api, id);
    await sleep(20);
    reads.count = 0;
    for (let n = 0; n < 10; n += 1) await titleOf(api, id);
    expect(reads.count).toBe(0);
    const took: number[] = [];
    for (let n = 1; n <= 20; n += 1) took.push(await seenAfter(api, id, `B${n}`, START_MS - 1_000_000 + n));
    took.sort((left, right) => left - right);
    expect(took[10]).toBeLessThan(patient(100));
    expect(await api.claims.cursor('cache/test')).toBeGreaterThan(20);
  });

  test('killed and back: reads go on from the claims, nothing stale comes back, and the cache heals', async () => {
    expect(await titleOf(api, id)).toBe('B20');
    await redis.kill();
    for (let n = 0; n < 5; n += 1) {
      const started = performance.now();
      expect(await titleOf(api, id)).toBe('B20');
      expect(performance.now() - started).toBeLessThan(patient(400));
    }
    // The client hears of it when the kernel tells.
    let health = (await api.get('/v1/health', { key: '' })).body;
    for (let tries = 0; tries < 200 && health.cache === 'up'; tries += 1) {
      await sleep(10);
      health = (await api.get('/v1/health', { key: '' })).body;
    }
    expect(health).toMatchObject({ health: 'degraded', cache: 'away' });
    expect(await seenAfter(api, id, 'C', START_MS - 900_000)).toBeLessThan(patient(2_000));
    await redis.restart();
    await settled(api);
    expect(await titleOf(api, id)).toBe('C');
    await sleep(50);
    reads.count = 0;
    expect(await titleOf(api, id)).toBe('C');
    expect(reads.count).toBe(0);
  });

  test('a Redis that hung while things changed serves nothing of before', async () => {
    expect(await titleOf(api, id)).toBe('C');
    redis.pause();
    try {
      await seenAfter(api, id, 'D', START_MS - 800_000);
    } finally {
      redis.resume();
    }
    const until = performance.now() + 2_500;
    while (performance.now() < until) expect(await titleOf(api, id)).toBe('D');
  });
});
