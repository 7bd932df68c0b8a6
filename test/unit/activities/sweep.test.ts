import { expect, test } from '@jest/globals';
import type { Dependencies } from '../../../activities/dependencies.ts';
import { sweeper } from '../../../activities/sweep.ts';
import { HeadwaterError } from '../../../rules/errors.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.parse('2026-11-21T09:00:00.000Z');

function bench(retention: { keepMs: number; factsMs: number }, warehouse: () => Promise<number>) {
  const asked: unknown[] = [];
  const told: string[] = [];
  const clock = { nowMs: NOW_MS };
  const dependencies = {
    ledger: {
      prune: (request: unknown) => {
        asked.push(request);
        return Promise.resolve({ windows: 3, runs: 2 });
      },
    },
    stage: { usage: () => Promise.resolve([]) },
    warehouse: { prune: warehouse },
    sink: 'duckdb',
    lanes: (_: string, work: () => unknown) => work(),
    now: () => clock.nowMs,
    log: (level: string, message: string) => void told.push(`${level}: ${message}`),
    retention: { ...retention, bytesMax: 1 },
  } as unknown as Dependencies;
  return { sweep: sweeper(dependencies), asked, told, clock };
}

test('old facts go once in ten minutes, and it is told', async () => {
  const { sweep, asked, told, clock } = bench({ keepMs: 7 * DAY_MS, factsMs: 90 * DAY_MS }, () =>
    Promise.resolve(4),
  );
  await sweep();
  await sweep();
  expect(asked).toEqual([{ sink: 'duckdb', before: '2026-08-23T09:00:00.000Z', rowsMax: 2_000 }]);
  expect(told).toEqual([
    'info: removed 3 windows, 2 runs and 4 rows of _headwater from before 2026-08-23T09:00:00.000Z',
  ]);
  clock.nowMs += 10 * 60_000;
  await sweep();
  expect(asked).toHaveLength(2);
});

test('what the stage still holds keeps its windows', async () => {
  const { sweep, asked } = bench({ keepMs: 100 * DAY_MS, factsMs: 90 * DAY_MS }, () => Promise.resolve(0));
  await sweep();
  expect(asked).toMatchObject([{ before: '2026-08-13T09:00:00.000Z' }]);
});

test('a warehouse that is away fails no run', async () => {
  const { sweep, told } = bench({ keepMs: DAY_MS, factsMs: DAY_MS }, () =>
    Promise.reject(new HeadwaterError('WAREHOUSE_LOCKED', 'away')),
  );
  await sweep();
  expect(told).toEqual(['warn: the ledger could not be swept']);
});
