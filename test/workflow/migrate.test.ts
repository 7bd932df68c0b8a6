/** A warehouse is brought up to date: what has to be read again first, then what is staged, then a second look. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import type { Activities } from '../../activities/index.ts';
import type { MigrateInput, MigrationObject, MigrationPlan } from '../../schemas/migration.ts';
import type { deliverCopy } from '../../workflows/deliver-copy.ts';
import type { migrate } from '../../workflows/migrate.ts';
import { until } from '../support/fast-lane.ts';
import { saveHistory } from './histories.ts';
import { fakes, landed, openBench, planned, window, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

const UNTIL = '2026-11-20T09:00:00.000Z';

function plan(ways: Record<string, MigrationObject['way']>): MigrationPlan {
  const objects = Object.entries(ways).map(([object, way]) => ({
    ...{ object, way, stagedWindows: 1, stagedRows: 10 },
    readRows: way === 'read' ? 500 : null,
  }));
  return { connection: 'crm', sink: 'lake', objects, calls: 3, quota: null };
}

/** Contact has to be read, Lead is staged; each landing is remembered by sink. */
function world(more: Partial<Activities> = {}) {
  const told: string[] = [];
  const lake = new Set<string>();
  const activities = fakes({
    planMigration: () => {
      const way = (object: string, from: 'read' | 'stage') => (lake.has(object) ? 'level' : from);
      return Promise.resolve(plan({ Contact: way('Contact', 'read'), Lead: way('Lead', 'stage') }));
    },
    planBackfill: () =>
      Promise.resolve({
        ...{ connection: 'crm', from: UNTIL, to: UNTIL, objects: [], calls: 3, quota: null },
        ...{ maxActive: 2, dryRun: false },
        windows: [{ object: 'Contact', from: UNTIL, until: UNTIL, cells: 1, rowsEstimate: 500 }],
      }),
    plan: (input) => Promise.resolve(planned(input, { windows: [window('Contact')] })),
    moveSlice: ({ window: id, sink = 'main' }) => {
      const object = id.slice(2);
      told.push(`${sink} ${object}`);
      if (sink === 'lake') lake.add(object);
      return Promise.resolve(landed(object));
    },
    undelivered: ({ sink }) =>
      Promise.resolve(
        ['Contact', 'Lead']
          .filter((object) => sink === 'lake' && !lake.has(object))
          .map((object) => window(object)),
      ),
    ...more,
  });
  return { told, lake, activities };
}

async function run(activities: Activities, id: string, more: Partial<MigrateInput> = {}) {
  return bench.run(activities, async (taskQueue) => {
    const handle = await bench.client.workflow.start<typeof migrate>('migrate', {
      ...{ workflowId: `migrate/crm/${id}`, taskQueue },
      args: [{ connection: 'crm', sink: 'lake', ...more }],
    });
    return { result: await handle.result(), history: await handle.fetchHistory() };
  });
}

test('a dry run looks and moves nothing', async () => {
  const { told, activities } = world();
  const { result } = await run(activities, 'preview', { dryRun: true });
  expect(result).toMatchObject({ run: null, left: ['Contact', 'Lead'], plan: { calls: 3 } });
  expect(told).toEqual([]);
});

test('what the stage lost is read again, then everything lands, and a second look proves it', async () => {
  const { told, activities } = world();
  const { result, history } = await run(activities, 'whole');
  expect(result).toMatchObject({ left: [], run: { outcome: 'ok' } });
  expect(result.run?.behind).toBeUndefined();
  expect(told[0]).toBe('main Contact');
  expect(told.slice(1).toSorted()).toEqual(['lake Contact', 'lake Lead']);
  await saveHistory(bench.address, 'migrate', history);
});

test('a reading that fails is told, the rest lands, and what is left is named', async () => {
  const { activities, lake } = world({
    planBackfill: () =>
      Promise.reject(
        ApplicationFailure.create({ type: 'PERMISSION_DENIED', message: 'no', nonRetryable: true }),
      ),
  });
  const { undelivered } = activities;
  activities.undelivered = async (input) =>
    (await undelivered(input)).filter(({ object }) => object === 'Lead');
  const { result } = await run(activities, 'partial');
  expect([...lake]).toEqual(['Lead']);
  expect(result).toMatchObject({
    left: ['Contact'],
    run: { outcome: 'partial', behind: [{ sink: 'lake' }] },
  });
  expect(result.run?.objects.map(({ object, state }) => [object, state])).toEqual([
    ['Contact', 'failed'],
    ['Lead', 'landed'],
  ]);
});

test('golden tables and their history go with it, and a warehouse without them is not done', async () => {
  const published: string[] = [];
  const { activities } = world({
    publish: ({ historyTo = '' }) => Promise.resolve(published.push(historyTo)),
  });
  const { planMigration } = activities;
  activities.planMigration = async (input) => ({
    ...(await planMigration(input)),
    golden: published.length > 0 ? 'level' : 'behind',
  });
  const { result, history } = await run(activities, 'golden');
  expect(published).toEqual(['lake']);
  expect(result).toMatchObject({ left: [], run: { outcome: 'ok' } });
  await saveHistory(bench.address, 'migrate-profiles', history);

  activities.publish = () => Promise.resolve(0);
  published.length = 0;
  const { result: unpublished } = await run(activities, 'no-golden');
  expect(unpublished).toMatchObject({
    left: ['profiles'],
    run: { outcome: 'behind', behind: [{ sink: 'lake', message: 'lake still lacks profiles' }] },
  });
});

test('a delivery that waits for that warehouse since an outage does not keep a migration from landing now', async () => {
  const { activities, lake } = world();
  const { moveSlice } = activities;
  let isAway = true;
  activities.moveSlice = (input) =>
    isAway && input.sink === 'lake'
      ? Promise.resolve({
          ...landed('Lead', { state: 'staged' }),
          code: 'WAREHOUSE_UNAVAILABLE',
          message: 'away',
        })
      : moveSlice(input);
  const result = await bench.run(activities, async (taskQueue) => {
    const waiting = await bench.client.workflow.start<typeof deliverCopy>('deliverCopy', {
      ...{ workflowId: 'deliver/crm/lake', taskQueue },
      args: [{ connection: 'crm', sink: 'lake', pauseMs: 3_600_000 }],
    });
    await until(
      () => waiting.fetchHistory(),
      ({ events }) =>
        events?.some(({ timerStartedEventAttributes: timer }) => (timer ?? null) !== null) === true,
    );
    isAway = false;
    const handle = await bench.client.workflow.start<typeof migrate>('migrate', {
      ...{ workflowId: 'migrate/crm/waiting', taskQueue },
      args: [{ connection: 'crm', sink: 'lake' }],
    });
    return handle.result();
  });
  expect(result).toMatchObject({ left: [], run: { outcome: 'ok' } });
  expect([...lake].toSorted()).toEqual(['Contact', 'Lead']);
});
