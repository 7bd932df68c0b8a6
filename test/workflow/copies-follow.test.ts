/** A delivery beside a run that ends badly, is silent for long, or whose delivery another run has taken over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Tuning } from '../../schemas/inputs.ts';
import { completeSignal } from '../../workflows/messages.ts';
import type { syncConnection } from '../../workflows/sync-connection.ts';
import { until } from '../support/fast-lane.ts';
import { saveHistory } from './histories.ts';
import { threeSinks } from './sinks.ts';
import { openBench, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

const sync = (taskQueue: string, workflowId: string, tuning?: Tuning) =>
  bench.client.workflow.start<typeof syncConnection>('syncConnection', {
    ...{ workflowId, taskQueue },
    args: [{ connection: 'crm', trigger: 'manual', ...(tuning === undefined ? {} : { tuning }) }],
  });

/** NONE: nobody has started it. */
const statusOf = (workflowId: string): Promise<string> =>
  bench.client.workflow
    .getHandle(workflowId)
    .describe()
    .then(
      ({ status }) => status.name,
      () => 'NONE',
    );

test('a run that is cancelled while its deliveries are just starting leaves none of them waiting', async () => {
  const { activities } = threeSinks();
  const { moveSlice } = activities;
  activities.moveSlice = async (input) => {
    if (input.stageOnly === true) await sleep(200);
    return moveSlice(input);
  };
  await bench.run(activities, async (queue) => {
    for (const [number, pauseMs] of [0, 5, 10, 20, 40].entries()) {
      const handle = await sync(queue, `sync/crm/beside-starting-${number}`);
      await sleep(pauseMs);
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
      if (number === 2)
        await saveHistory(bench.address, 'sync-connection-cancelled-early', await handle.fetchHistory());
      for (const sink of ['main', 'copy', 'lake'])
        await until(
          () => statusOf(`deliver/crm/${sink}`),
          (name) => name !== 'RUNNING',
        );
    }
  });
});

test('a delivery finds out by itself that its run was terminated; one whose run only reads for long goes on', async () => {
  const { has, level, activities } = threeSinks();
  const { moveSlice } = activities;
  const reading = Promise.withResolvers<void>();
  let looks = 0;
  const { undelivered } = activities;
  activities.undelivered = (input) => {
    if (input.sink === 'main') looks += 1;
    return undelivered(input);
  };
  activities.moveSlice = async (input) => {
    if (input.stageOnly === true) await reading.promise;
    return moveSlice(input);
  };
  await bench.run(activities, async (queue) => {
    const first = await sync(queue, 'sync/crm/beside-silent', { silentMs: 50 });
    await until(
      () => Promise.resolve(looks),
      (count) => count > 4,
    );
    expect(await statusOf('deliver/crm/main')).toBe('RUNNING');
    reading.resolve();
    expect(await first.result()).toMatchObject({ outcome: 'ok' });
    await saveHistory(bench.address, 'sync-connection-silent', await first.fetchHistory());
    const followed = await bench.client.workflow.getHandle('deliver/crm/main').fetchHistory();
    await saveHistory(bench.address, 'deliver-copy-silent', followed);
    await level('main', 'copy', 'lake');

    const second = await sync(queue, 'sync/crm/beside-gone', { silentMs: 50 });
    const delivery = bench.client.workflow.getHandle('deliver/crm/main');
    await until(
      () => statusOf('deliver/crm/main'),
      (name) => name === 'RUNNING',
    );
    await second.terminate();
    await delivery.result();
  });
  expect(has.get('main')?.slice(0, 2).toSorted()).toEqual(['Contact', 'Lead']);
});

test('I7: a delivery that another run has taken over is no proof of what was staged afterwards', async () => {
  const { has, activities } = threeSinks();
  const { moveSlice } = activities;
  const reading = Promise.withResolvers<void>();
  activities.moveSlice = async (input) => {
    if (input.stageOnly === true && input.window === 'w_Lead') await reading.promise;
    return moveSlice(input);
  };
  const result = await bench.run(activities, async (queue) => {
    const handle = await sync(queue, 'sync/crm/beside-taken');
    const taken = bench.client.workflow.getHandle('deliver/crm/main');
    await until(
      () => Promise.resolve(has.get('main')),
      (objects) => objects?.length === 1,
    );
    await taken.signal(completeSignal);
    await taken.result();
    reading.resolve();
    const ended = await handle.result();
    await saveHistory(bench.address, 'sync-connection-taken-over', await handle.fetchHistory());
    return ended;
  });
  expect(result).toMatchObject({ outcome: 'ok' });
  expect(has.get('main')?.toSorted()).toEqual(['Contact', 'Lead']);
  expect(result.objects.map(({ state, inserted }) => [state, inserted])).toEqual(
    Array(2).fill(['landed', 10]),
  );
});
