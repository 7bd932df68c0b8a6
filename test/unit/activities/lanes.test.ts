import { expect, test } from '@jest/globals';
import { createLanes, type Lane } from '../../../activities/lanes.ts';

/** Runs ten of each lane at once and tells how many were at work together, by lane and in all of the two heavy ones. */
async function crowd(embedded: boolean): Promise<Record<Lane | 'heavy', number>> {
  const lanes = createLanes({ api: 3, shape: 1, warehouse: 1, claims: 1, publish: 1 }, { embedded });
  const now = { api: 0, shape: 0, warehouse: 0, claims: 0, publish: 0, heavy: 0 };
  const most = { ...now };
  const one = (lane: Lane) =>
    lanes(lane, async () => {
      now[lane] += 1;
      now.heavy = now.shape + now.warehouse;
      for (const key of ['api', 'shape', 'warehouse', 'claims', 'publish', 'heavy'] as const)
        most[key] = Math.max(most[key], now[key]);
      await new Promise((resolve) => setTimeout(resolve, 5));
      now[lane] -= 1;
    });
  const all: Lane[] = Array.from(
    { length: 10 },
    () => ['api', 'shape', 'warehouse', 'claims', 'publish'] as const,
  ).flat();
  await Promise.all(all.map(one));
  return most;
}

test('each lane has its own bound', async () => {
  expect(await crowd(false)).toEqual({ api: 3, shape: 1, warehouse: 1, claims: 1, publish: 1, heavy: 2 });
});

test('an embedded warehouse never works beside the shaper', async () => {
  expect(await crowd(true)).toEqual({ api: 3, shape: 1, warehouse: 1, claims: 1, publish: 1, heavy: 1 });
});

test('a step that fails gives its place to the next', async () => {
  const lanes = createLanes({ api: 1, shape: 1, warehouse: 1, claims: 1, publish: 1 });
  const failed = lanes('api', () => Promise.reject(new Error('stop')));
  const next = lanes('api', () => Promise.resolve('went on'));
  await expect(failed).rejects.toThrow('stop');
  expect(await next).toBe('went on');
});
