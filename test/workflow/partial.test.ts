import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { BackfillPlan } from '../../schemas/backfill.ts';
import type { backfill } from '../../workflows/backfill.ts';
import type { syncConnection } from '../../workflows/sync-connection.ts';
import type { RunPlanInput } from '../../activities/index.ts';
import { fakes, landed, openBench, planned, window, type Bench } from './support.ts';
import { saveHistory } from './histories.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

const ORIGIN = '0001-01-01T00:00:00.000Z';
const UNTIL = '2026-11-20T08:00:00.000Z';
const NOTE = 'only Greeting__c (formulas)';
const partial = window('Contact', {
  window: 'w_partial',
  partial: true,
  from: ORIGIN,
  until: UNTIL,
  note: NOTE,
});

test('a partial window comes after the hourly one, in the same child, with the calls of a backfill', async () => {
  const moved: string[] = [];
  const activities = fakes({
    plan: (input) => Promise.resolve(planned(input, { windows: [window('Contact'), partial] })),
    moveSlice: (input) => {
      moved.push(`${input.window} ${input.callClass}`);
      return Promise.resolve(landed('Contact', { window: input.window }));
    },
  });
  const { result, history, child } = await bench.run(activities, async (queue) => {
    const handle = await bench.client.workflow.start<typeof syncConnection>('syncConnection', {
      workflowId: 'sync/crm/partial',
      taskQueue: queue,
      args: [{ connection: 'crm', trigger: 'manual' }],
    });
    const run = await handle.result();
    const id = 'sync/crm/Contact/2026-11-20T09:00:00.000Z';
    const inner = await bench.client.workflow.getHandle(id).fetchHistory();
    return { result: run, history: await handle.fetchHistory(), child: inner };
  });
  expect(moved).toEqual(['w_Contact hourly', 'w_partial backfill']);
  expect(result).toMatchObject({ outcome: 'ok', objects: [{ window: 'w_Contact' }, { message: NOTE }] });
  await saveHistory(bench.address, 'sync-connection-partial-window', history);
  await saveHistory(bench.address, 'sync-object-partial-window', child);
});

test('a backfill of single fields hands them to the plan', async () => {
  const plan: BackfillPlan = {
    connection: 'crm',
    from: ORIGIN,
    to: UNTIL,
    windows: [
      { object: 'Contact', from: ORIGIN, until: UNTIL, cells: 1, rowsEstimate: 5, fields: ['Tier__c'] },
    ],
    objects: [{ object: 'Contact', cells: { missing: 0, covered: 1, failed: 0, open: 0 }, rowsEstimate: 5 }],
    calls: 4,
    quota: { used: 100, limit: 15_000 },
    maxActive: 2,
    dryRun: false,
  };
  const asked: RunPlanInput[] = [];
  const activities = fakes({
    planBackfill: () => Promise.resolve(plan),
    plan: (input) => {
      asked.push(input);
      return Promise.resolve(planned(input, { windows: [partial] }));
    },
    moveSlice: (input) => Promise.resolve(landed('Contact', { window: input.window })),
  });
  const { result, history } = await bench.run(activities, async (queue) => {
    const handle = await bench.client.workflow.start<typeof backfill>('backfill', {
      workflowId: 'backfill/crm/fields',
      taskQueue: queue,
      args: [{ connection: 'crm', from: 'beginning', to: UNTIL, fields: ['Tier__c'] }],
    });
    return { result: await handle.result(), history: await handle.fetchHistory() };
  });
  expect(asked).toMatchObject([{ fields: ['Tier__c'], past: { from: ORIGIN, until: UNTIL } }]);
  expect(result.run).toMatchObject({ outcome: 'ok', objects: [{ window: 'w_partial' }] });
  await saveHistory(bench.address, 'backfill-fields', history);
});
