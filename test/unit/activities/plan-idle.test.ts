import { expect, test } from '@jest/globals';
import type { Dependencies } from '../../../activities/dependencies.ts';
import { createLanes } from '../../../activities/lanes.ts';
import { landEmpty } from '../../../activities/plan-idle.ts';
import { NO_ROWS } from '../../../rules/receipts.ts';
import type { Window } from '../../../schemas/window.ts';
import type { IntervalRow } from '../../../warehouses/warehouse.ts';

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
