/** Further warehouses of a run: each is landed by a workflow of its own, and none of them holds up the others or the run. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import type { deliverCopy } from '../../workflows/deliver-copy.ts';
import type { syncConnection } from '../../workflows/sync-connection.ts';
import { until } from '../support/fast-lane.ts';
import { patient } from '../support/patience.ts';
import { saveHistory } from './histories.ts';
import { AWAY, sinks, threeSinks } from './sinks.ts';
import { openBench, planned, window, type Bench } from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
}, 120_000);
afterAll(() => bench.stop());

const sync = (taskQueue: string, workflowId: string) =>
  bench.client.workflow.start<typeof syncConnection>('syncConnection', {
    ...{ workflowId, taskQueue },
    args: [{ connection: 'crm', trigger: 'manual' }],
  });

test('a run brings every warehouse up to date and is ok', async () => {
  const { has, activities } = sinks(['Contact', 'Lead']);
  activities.plan = (input) =>
    Promise.resolve(
      planned(input, { windows: [window('Contact'), window('Lead')], deliver: ['copy', 'lake'] }),
    );
  const { result, history } = await bench.run(activities, async (queue) => {
    const handle = await sync(queue, 'sync/crm/copies-1');
    return { result: await handle.result(), history: await handle.fetchHistory() };
  });
  expect(result.outcome).toBe('ok');
  expect(result.behind).toBeUndefined();
  for (const sink of ['main', 'copy', 'lake']) expect(has.get(sink)?.toSorted()).toEqual(['Contact', 'Lead']);
  await saveHistory(bench.address, 'sync-connection-copies', history);
});

test('one that is away is named, the others have everything, and a workflow goes on trying', async () => {
  const { has, away, activities } = sinks(['Contact']);
  away.add('copy');
  activities.plan = (input) =>
    Promise.resolve(
      planned(input, {
        windows: [window('Contact')],
        deliver: ['copy', 'lake'],
        await: ['gone'],
        troubles: [
          { sink: 'dark', code: 'SINK_REWOUND', message: 'another one than before' },
          { sink: 'gone', ...AWAY },
        ],
      }),
    );
  const { result, history } = await bench.run(activities, async (queue) => {
    const handle = await sync(queue, 'sync/crm/copies-2');
    const run = await handle.result();
    const trying = bench.client.workflow.getHandle('deliver/crm/copy');
    expect((await trying.describe()).status.name).toBe('RUNNING');
    await trying.terminate();
    const waiting = bench.client.workflow.getHandle('deliver/crm/gone');
    expect((await waiting.describe()).status.name).not.toBe('FAILED');
    await waiting.terminate().catch(() => undefined);
    return { result: run, history: await handle.fetchHistory() };
  });
  expect(result.outcome).toBe('behind');
  expect(result.behind).toEqual([
    { sink: 'copy', ...AWAY },
    { sink: 'dark', code: 'SINK_REWOUND', message: 'another one than before' },
    { sink: 'gone', ...AWAY },
  ]);
  expect([has.get('main'), has.get('lake'), has.get('copy')]).toEqual([['Contact'], ['Contact'], undefined]);
  await saveHistory(bench.address, 'sync-connection-copy-behind', history);
});

test('the main one away: its windows are staged, the copies get them', async () => {
  const { has, away, activities } = sinks(['Contact']);
  away.add('main');
  const { undelivered } = activities;
  // What is delivered to the main one later is not what this is about.
  activities.undelivered = (input) => (input.sink === undefined ? Promise.resolve([]) : undelivered(input));
  activities.plan = (input) =>
    Promise.resolve(
      planned(input, {
        windows: [window('Contact')],
        deliver: ['copy'],
        troubles: [{ sink: 'main', ...AWAY }],
      }),
    );
  const result = await bench.run(activities, async (queue) =>
    (await sync(queue, 'sync/crm/copies-3')).result(),
  );
  expect(result).toMatchObject({
    outcome: 'behind',
    behind: [{ sink: 'main' }],
    objects: [{ state: 'staged' }],
  });
  expect(has.get('copy')).toEqual(['Contact']);
});

test('a slow one does not keep the run past its deadline; its workflow goes on', async () => {
  const { has, activities } = sinks(['Contact']);
  const { moveSlice } = activities;
  let free: () => void = () => undefined;
  const slow = new Promise<void>((resolve) => (free = resolve));
  activities.moveSlice = async (input) => {
    if (input.sink === 'copy') await slow;
    return moveSlice(input);
  };
  activities.plan = (input) =>
    Promise.resolve(planned(input, { windows: [window('Contact')], deliver: ['copy'], deadlineMs: 300 }));
  const result = await bench.run(activities, async (queue) => {
    const run = await (await sync(queue, 'sync/crm/copies-4')).result();
    expect(has.get('copy')).toBeUndefined();
    free();
    await bench.client.workflow.getHandle('deliver/crm/copy').result();
    return run;
  });
  expect(result).toMatchObject({ outcome: 'behind', behind: [{ sink: 'copy', code: 'TIMEOUT' }] });
  expect(has.get('copy')).toEqual(['Contact']);
});

test('what is staged lands object by object until nothing waits, through an outage', async () => {
  const { has, away, activities } = sinks(['Contact', 'Lead', 'Lot']);
  away.add('copy');
  const { undelivered } = activities;
  let looks = 0;
  activities.undelivered = (input) => {
    looks += 1;
    if (looks === 3) away.delete('copy');
    return undelivered(input);
  };
  const { result, history } = await bench.run(activities, async (queue) => {
    const handle = await bench.client.workflow.start<typeof deliverCopy>('deliverCopy', {
      ...{ workflowId: 'deliver/crm/copy-2', taskQueue: queue },
      args: [{ connection: 'crm', sink: 'copy', pauseMs: 20 }],
    });
    return { result: await handle.result(), history: await handle.fetchHistory() };
  });
  expect(result.outcome).toBe('ok');
  expect(has.get('copy')?.toSorted()).toEqual(['Contact', 'Lead', 'Lot']);
  await saveHistory(bench.address, 'deliver-copy-after-outage', history);
});

test('once: a window that is refused ends it as behind', async () => {
  const { activities } = sinks(['Contact']);
  activities.moveSlice = () =>
    Promise.reject(
      ApplicationFailure.create({ type: 'WAREHOUSE_REJECTED', message: 'no such right', nonRetryable: true }),
    );
  const result = await bench.run(activities, async (queue) => {
    const handle = await bench.client.workflow.start<typeof deliverCopy>('deliverCopy', {
      ...{ workflowId: 'deliver/crm/copy-3', taskQueue: queue },
      args: [{ connection: 'crm', sink: 'copy', once: true }],
    });
    return handle.result();
  });
  expect(result).toMatchObject({
    ...{ outcome: 'behind', objects: [] },
    behind: [{ sink: 'copy', code: 'WAREHOUSE_REJECTED', message: 'no such right' }],
  });
});

test.each(['main', 'copy', 'lake'])(
  '%s slow: the others have everything before it has anything; the run then has every line',
  async (slow) => {
    const { has, hold, level, activities } = threeSinks();
    const free = hold(slow);
    const others = ['main', 'copy', 'lake'].filter((sink) => sink !== slow);
    const { result, history } = await bench.run(activities, async (queue) => {
      const handle = await sync(queue, `sync/crm/beside-${slow}`);
      await level(...others);
      expect(has.get(slow)).toBeUndefined();
      free();
      return { result: await handle.result(), history: await handle.fetchHistory() };
    });
    expect(has.get(slow)?.toSorted()).toEqual(['Contact', 'Lead']);
    expect(result).toMatchObject({ outcome: 'ok' });
    expect(result.behind).toBeUndefined();
    expect(result.objects.map(({ object, state, inserted }) => [object, state, inserted]).toSorted()).toEqual(
      [
        ['Contact', 'landed', 10],
        ['Lead', 'landed', 10],
      ],
    );
    if (slow !== 'main') return;
    await saveHistory(bench.address, 'sync-connection-side-by-side', history);
    const delivery = await bench.client.workflow.getHandle('deliver/crm/main').fetchHistory();
    await saveHistory(bench.address, 'deliver-copy-follows', delivery);
  },
);

test('the main one slower than the run may be: the run ends behind with what is proven, its delivery goes on', async () => {
  const { has, hold, level, activities } = threeSinks();
  const { plan } = activities;
  activities.plan = async (input) => ({ ...(await plan(input)), deadlineMs: patient(4_000) });
  const free = hold('main');
  const result = await bench.run(activities, async (queue) => {
    const run = await (await sync(queue, 'sync/crm/beside-late')).result();
    await level('copy', 'lake');
    expect(has.get('main')).toBeUndefined();
    free();
    await bench.client.workflow.getHandle('deliver/crm/main').result();
    return run;
  });
  expect(result).toMatchObject({ outcome: 'behind', behind: [{ sink: 'main', code: 'TIMEOUT' }] });
  expect(result.objects.map(({ state, code, verdict }) => [state, code, verdict])).toEqual(
    Array(2).fill(['staged', 'TIMEOUT', 'proven']),
  );
  expect(has.get('main')?.toSorted()).toEqual(['Contact', 'Lead']);
});

test('what the main one refuses fails its object alone; the others have it, and nobody asks for it again in this run', async () => {
  const { has, level, activities } = threeSinks();
  const { moveSlice } = activities;
  let asked = 0;
  activities.moveSlice = (input) => {
    if (input.sink !== 'main' || input.window !== 'w_Lead') return moveSlice(input);
    asked += 1;
    return Promise.reject(
      ApplicationFailure.create({ type: 'WAREHOUSE_REJECTED', message: 'no such right', nonRetryable: true }),
    );
  };
  const failure: unknown = await bench.run(activities, async (queue) => {
    const handle = await sync(queue, 'sync/crm/beside-refused');
    const error: unknown = await handle.result().catch((reason: unknown) => reason);
    await level('copy', 'lake');
    await expect(bench.client.workflow.getHandle('deliver/crm/main').describe()).resolves.toMatchObject({
      status: { name: 'COMPLETED' },
    });
    return error;
  });
  expect(failure).toMatchObject({ cause: { type: 'PARTIAL' } });
  expect(String((failure as Error).cause)).toContain('Lead WAREHOUSE_REJECTED');
  expect([has.get('main'), asked]).toEqual([['Contact'], 1]);
});

test('a delivery that waits for its warehouse is taken over: the next run does not call it behind once it is back', async () => {
  const { has, away, activities } = threeSinks();
  away.add('copy');
  const result = await bench.run(activities, async (queue) => {
    const waiting = await bench.client.workflow.start<typeof deliverCopy>('deliverCopy', {
      ...{ workflowId: 'deliver/crm/copy', taskQueue: queue },
      args: [{ connection: 'crm', sink: 'copy', pauseMs: 3_600_000 }],
    });
    const first = await (await sync(queue, 'sync/crm/beside-away')).result();
    expect(first).toMatchObject({ outcome: 'behind', behind: [{ sink: 'copy', ...AWAY }] });
    await waiting.result();
    const left = bench.client.workflow.getHandle('deliver/crm/copy');
    expect((await left.describe()).status.name).toBe('RUNNING');
    away.delete('copy');
    return (await sync(queue, 'sync/crm/beside-back')).result();
  });
  expect(result).toMatchObject({ outcome: 'ok' });
  expect(result.behind).toBeUndefined();
  expect(has.get('copy')?.toSorted()).toEqual(['Contact', 'Lead']);
});

test('a run that is cancelled takes its deliveries with it', async () => {
  const { hold, level, activities } = threeSinks();
  const free = hold('main');
  await bench.run(activities, async (queue) => {
    const handle = await sync(queue, 'sync/crm/beside-cancelled');
    const delivery = bench.client.workflow.getHandle('deliver/crm/main');
    await until(
      () => delivery.describe().then(({ status }) => status.name, String),
      (name) => name === 'RUNNING',
    );
    // Both are under way by then, and the run knows it.
    await level('copy', 'lake');
    await handle.cancel();
    // A step ends before its delivery does.
    setTimeout(free, 300);
    await expect(handle.result()).rejects.toThrow();
    await expect(delivery.result()).rejects.toThrow();
    expect((await delivery.describe()).status.name).toBe('CANCELLED');
  });
});
