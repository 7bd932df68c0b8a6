import { expect, test } from '@jest/globals';
import type { OpenSources } from '../../../activities/connections.ts';
import type { Dependencies } from '../../../activities/dependencies.ts';
import { createLanes } from '../../../activities/lanes.ts';
import { createSteps } from '../../../activities/move-slice.ts';
import { landEmpty } from '../../../activities/plan-idle.ts';
import { HeadwaterError } from '../../../rules/errors.ts';
import { NO_ROWS } from '../../../rules/receipts.ts';
import type { Window } from '../../../schemas/window.ts';
import type { IntervalRow } from '../../../warehouses/warehouse.ts';

const FROM = '2026-11-20T08:00:00.000Z';
const UNTIL = '2026-11-20T09:00:00.000Z';

test('I2: an idle window that a further warehouse lacks has no plan; it waits while that one is away, then its interval row lands', async () => {
  const idle = { id: 'idle', connection: 'crm', object: 'User', from: FROM, until: UNTIL, slices: [] };
  const receipt = { ...idle, window: 'idle', transport: NO_ROWS, verdict: 'proven' };
  const closed: string[] = [];
  let isAway = true;
  const lake = {
    closeWindows: (rows: IntervalRow[]) => {
      if (isAway) return Promise.reject(new HeadwaterError('WAREHOUSE_UNAVAILABLE', 'away'));
      closed.push(...rows.map(({ window }) => window));
      return Promise.resolve({ epoch: 'e', seq: 1 });
    },
  };
  const dependencies = {
    ...{ sink: 'main', lanes: createLanes() },
    copies: [{ sink: 'lake', lanes: createLanes(), open: () => Promise.resolve(lake) }],
    ledger: {
      undelivered: (sink: string) => Promise.resolve(sink === 'lake' ? [idle] : []),
      windows: () => Promise.resolve([{ ...idle, receipt }]),
      commitSink: () => Promise.resolve(),
      progress: () => Promise.reject(new HeadwaterError('INTERNAL', 'no stored plan yet')),
    },
  } as unknown as Dependencies;
  const steps = createSteps(dependencies, {} as OpenSources);
  const input = { connection: 'crm', window: 'idle', attempt: 1, callClass: 'hourly' as const, sink: 'lake' };
  expect(await steps.commit(input)).toMatchObject({
    ...{ object: 'User', state: 'staged', code: 'WAREHOUSE_UNAVAILABLE', rows: 0 },
  });
  isAway = false;
  expect(await steps.commit(input)).toMatchObject({
    object: 'User',
    state: 'landed',
    rows: 0,
    verdict: 'proven',
  });
  expect(closed).toEqual(['idle']);
});

test('only windows whose receipt says zero rows are landed as empty', async () => {
  const closed: string[] = [];
  const window = (id: string, received: number | null, slices = 0) => ({
    id,
    slices: Array.from({ length: slices }, (_, slice) => ({ slice })),
    receipt: received === null ? null : { transport: { ...NO_ROWS, received } },
  });
  const windows = [window('idle', 0), window('adopted', 5), window('unknown', null), window('staged', 0, 1)];
  const dependencies = {
    sink: 'warehouse',
    lanes: createLanes(),
    ledger: { windows: () => Promise.resolve(windows), commitSink: () => Promise.resolve() },
    warehouse: {
      closeWindows: (rows: IntervalRow[]) => {
        closed.push(...rows.map((row) => row.window));
        return Promise.resolve({ epoch: 'e', seq: 1 });
      },
    },
  } as unknown as Dependencies;
  const landed = await landEmpty(dependencies, 'crm', windows as unknown as Window[]);
  expect([...landed]).toEqual(['idle']);
  expect(closed).toEqual(['idle']);
});
