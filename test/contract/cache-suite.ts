/** What every cache promises; each runs it on stores of its own. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { array, assert, asyncProperty, boolean, integer, record } from 'fast-check';
import type { Cache, CacheEntry } from '../../stores/cache/cache.ts';

const HOUR_MS = 3_600_000;

const profile = (id: string, version: number, readMs = 0): CacheEntry => ({
  kind: 'profile',
  id,
  version,
  readMs,
  text: `{"é\u001e":${version}.${readMs}}`,
});
const put = (entry: CacheEntry, ttlMs = HOUR_MS) => ({ entry, ttlMs });

export interface CacheHarness {
  /** Empty, with room for a thousand profiles. */
  open(): Cache;
  /** Lets so much time pass. */
  pass(ms: number): Promise<void>;
}

export function cacheSuite(name: string, harness: () => CacheHarness): void {
  describe(name, () => {
    const opened: Cache[] = [];
    const open = () => {
      const cache = harness().open();
      opened.push(cache);
      return cache;
    };
    afterEach(async () => {
      for (const cache of opened.splice(0)) await cache.close();
    });

    test('gives back what was put, in the order of the question, with null for a miss', async () => {
      const cache = open();
      const entries: CacheEntry[] = [
        profile('p_a', 3, 17),
        { kind: 'alias', id: 'p_b', version: 9, target: 'p_a' },
        { kind: 'erased', id: 'p_c', version: 2 },
      ];
      expect(await cache.put(entries.map((entry) => put(entry)))).toBe(3);
      expect(await cache.get(['p_c', 'p_x', 'p_a', 'p_b', 'p_a'])).toEqual([
        entries[2],
        null,
        entries[0],
        entries[1],
        entries[0],
      ]);
      expect(await cache.get([])).toEqual([]);
      expect(cache.isUp()).toBe(true);
    });

    test('takes only what is newer: by version, then by the moment of reading', async () => {
      const cache = open();
      expect(await cache.put([put(profile('p_a', 5, 10))])).toBe(1);
      for (const older of [profile('p_a', 4, 99), profile('p_a', 5, 10), profile('p_a', 5, 9)]) {
        expect(await cache.put([put(older)])).toBe(0);
      }
      expect(await cache.put([put(profile('p_a', 5, 11))])).toBe(1);
      expect(await cache.put([put(profile('p_a', 10, 0))])).toBe(1);
      expect(await cache.get(['p_a'])).toEqual([profile('p_a', 10, 0)]);
    });

    test('what was dropped is not served, and an older writer cannot bring it back', async () => {
      const cache = open();
      await cache.put([put(profile('p_a', 5)), put(profile('p_b', 7))]);
      const rows = [
        { id: 'p_a', version: 6 },
        { id: 'p_b', version: 7 },
        { id: 'p_c', version: 2 },
      ];
      expect(await cache.drop(rows)).toEqual(['p_a']);
      expect(await cache.get(['p_a', 'p_b', 'p_c'])).toEqual([null, profile('p_b', 7), null]);
      expect(await cache.put([put(profile('p_a', 5)), put(profile('p_c', 1))])).toBe(0);
      expect(await cache.put([put(profile('p_a', 6)), put(profile('p_c', 2))])).toBe(2);
      expect(await cache.get(['p_a', 'p_c'])).toEqual([profile('p_a', 6), profile('p_c', 2)]);
    });

    test('a tombstone stands against every profile below it, and a later version lives again', async () => {
      const cache = open();
      await cache.put([put(profile('p_a', 5))]);
      await cache.put([put({ kind: 'erased', id: 'p_a', version: 6 }, 1)]);
      await harness().pass(30);
      expect(await cache.put([put(profile('p_a', 5))])).toBe(0);
      expect(await cache.get(['p_a'])).toEqual([{ kind: 'erased', id: 'p_a', version: 6 }]);
      expect(await cache.put([put(profile('p_a', 7))])).toBe(1);
    });

    test('ends at its time to live', async () => {
      const cache = open();
      await cache.put([put(profile('p_a', 5), 20), put(profile('p_b', 5))]);
      await harness().pass(60);
      expect(await cache.get(['p_a', 'p_b'])).toEqual([null, profile('p_b', 5)]);
    });

    test('many at once are one question', async () => {
      const cache = open();
      const ids = Array.from({ length: 900 }, (_, n) => `p_${n}`);
      expect(await cache.put(ids.map((id, n) => put(profile(id, n + 1))))).toBe(900);
      const found = await Promise.all(ids.map(async (id) => (await cache.get([id]))[0]));
      expect(found.map((entry) => entry?.version)).toEqual(ids.map((_, n) => n + 1));
    });

    test('law: whatever the order of puts and drops, what is served is the newest ever put, unless it was dropped', async () => {
      const cache = open();
      let run = 0;
      const step = record({
        isDrop: boolean(),
        version: integer({ min: 1, max: 6 }),
        readMs: integer({ min: 0, max: 3 }),
      });
      await assert(
        asyncProperty(array(step, { maxLength: 12 }), async (steps) => {
          run += 1;
          const id = `p_law_${run}`;
          for (const { isDrop, version, readMs } of steps) {
            if (isDrop) await cache.drop([{ id, version }]);
            else await cache.put([put(profile(id, version, readMs))]);
          }
          const floor = Math.max(0, ...steps.filter(({ isDrop }) => isDrop).map(({ version }) => version));
          const top = Math.max(0, ...steps.map(({ version }) => version));
          const [found] = await cache.get([id]);
          if (found?.kind !== 'profile') {
            // Nothing of the highest version was put after it was last dropped.
            const last = steps.findLastIndex((one) => one.isDrop && one.version === floor);
            const since = steps.slice(last + 1).filter((one) => !one.isDrop && one.version >= floor);
            return since.length === 0;
          }
          return found.version === top && found.version >= floor;
        }),
        { numRuns: 60 },
      );
    });
  });
}
