import { expect, test } from '@jest/globals';
import { openMemoryCache } from '../../stores/cache/memory.ts';
import { cacheSuite } from './cache-suite.ts';

let clock = 0;

cacheSuite('the cache in memory', () => ({
  open: () => openMemoryCache({ profilesMax: 1_000, now: () => clock }),
  pass: async (ms) => {
    clock += ms;
  },
}));

test('is bounded: the least recently read go first', async () => {
  const cache = openMemoryCache({ profilesMax: 3 });
  const entry = (id: string) =>
    ({ entry: { kind: 'profile', id, version: 1, readMs: 0, text: '' }, ttlMs: 1_000 }) as const;
  await cache.put(['a', 'b', 'c'].map(entry));
  await cache.get(['a']);
  await cache.put([entry('d')]);
  const found = await cache.get(['a', 'b', 'c', 'd']);
  expect(found.map((one) => one?.id)).toEqual(['a', undefined, 'c', 'd']);
});
