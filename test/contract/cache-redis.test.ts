import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cache, CacheEntry } from '../../stores/cache/cache.ts';
import { openRedisCache } from '../../stores/cache/redis.ts';
import { findRedis, startRedis, type TestRedis } from '../support/redis.ts';
import { cacheSuite } from './cache-suite.ts';
import { patient } from '../support/patience.ts';

const binary = await findRedis();
if (typeof binary === 'string') console.warn(`SKIPPED: the cache in Redis, ${binary}`);

const suite = typeof binary === 'string' ? describe.skip : describe;
const entry: CacheEntry = { kind: 'profile', id: 'p_a', version: 4, readMs: 1, text: 'x' };

suite('with a real Redis', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    if (typeof binary !== 'string') redis = await startRedis(binary);
  }, 180_000);
  afterAll(async () => await redis.stop());

  const open = () => openRedisCache({ url: redis.url, prefix: randomBytes(6).toString('hex') });

  beforeAll(async () => {
    const cache = open();
    await up(cache);
    await cache.close();
  });

  cacheSuite('the cache in Redis', () => ({
    open: () => waiting(open()),
    pass: async (ms) => await sleep(ms),
  }));

  test('a Redis that hangs costs one bounded wait, then nothing until it is tried again', async () => {
    const cache = open();
    await up(cache);
    await cache.put([{ entry, ttlMs: 60_000 }]);
    redis.pause();
    try {
      const first = await timed(async () => await cache.get(['p_a']));
      expect(first.value).toEqual([null]);
      expect(first.ms).toBeLessThan(patient(200));
      const second = await timed(async () => await cache.get(['p_a']));
      expect(second.value).toEqual([null]);
      expect(second.ms).toBeLessThan(patient(10));
      expect(await cache.drop([{ id: 'p_a', version: 9 }])).toBeNull();
      expect(await cache.put([{ entry, ttlMs: 1 }])).toBe(0);
      expect(cache.isUp()).toBe(false);
    } finally {
      redis.resume();
    }
    await up(cache);
    expect(await cache.get(['p_a'])).toEqual([entry]);
    await cache.close();
  });

  test('a Redis that is killed is a miss, and one that is back is used again', async () => {
    const cache = open();
    await up(cache);
    await cache.put([{ entry, ttlMs: 60_000 }]);
    await redis.kill();
    expect((await timed(async () => await cache.get(['p_a']))).ms).toBeLessThan(patient(200));
    expect(await cache.get(['p_a'])).toEqual([null]);
    await redis.restart();
    await up(cache);
    expect(await cache.get(['p_a'])).toEqual([null]);
    expect(await cache.put([{ entry, ttlMs: 60_000 }])).toBe(1);
    expect(await cache.get(['p_a'])).toEqual([entry]);
    await cache.close();
  });

  test('values that others wrote are misses', async () => {
    const cache = openRedisCache({ url: redis.url, prefix: 'foreign' });
    await up(cache);
    await cache.put([{ entry: { ...entry, text: '' }, ttlMs: 60_000 }]);
    expect(await cache.get(['p_a', 'p_b'])).toEqual([{ ...entry, text: '' }, null]);
    await cache.close();
  });
});

/** The client connects by itself; a test cannot ask before it has. */
function waiting(cache: Cache): Cache {
  const first = up(cache);
  return {
    ...cache,
    get: async (ids) => await first.then(async () => await cache.get(ids)),
    put: async (puts) => await first.then(async () => await cache.put(puts)),
    drop: async (rows) => await first.then(async () => await cache.drop(rows)),
  };
}

async function up(cache: Cache): Promise<void> {
  const until = performance.now() + 10_000;
  do {
    await cache.get(['p_none']);
    if (cache.isUp()) return;
    await sleep(20);
  } while (performance.now() < until);
  throw new Error('Redis did not come');
}

async function timed<T>(action: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const start = performance.now();
  const value = await action();
  return { value, ms: performance.now() - start };
}
